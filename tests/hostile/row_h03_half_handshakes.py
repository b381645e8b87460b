"""ClientHellos that never end."""
import contextlib
import time

import world as hostile

TITLE = "unfinished ClientHellos of 16 KB (18,500; short: 3,000)"

# A handshake record of 16,379 bytes, in it a ClientHello of 32 KiB.
_HEAD = b"\x16\x03\x01\x3f\xfb\x01\x00\x80\x00\x03\x03"
_REST = b"\0\0\2\x13\x01\1\0\x7f\x00\x00\x15\x7e\xfc"
HELLO = (_HEAD + b"r" * 32 + _REST).ljust(16 * 1024, b"\0")


def run(world, hold):
    """As fast as one process can; honest clients share the address."""
    program = world.aggregator()
    hold("served before", world.asks(program))
    before = program.peak_mib()
    count = 3000 if world.short else 18500
    begin = time.monotonic()
    open_ones = []
    for _ in range(count):
        connection = world.plain(program)
        with contextlib.suppress(OSError):
            connection.sendall(HELLO)
        open_ones.append(connection)
        if len(open_ones) > 1000:
            open_ones.pop(0).close()
    took = time.monotonic() - begin
    hold("an honest viewer is served meanwhile", world.asks(program))
    newcomers = program.metric('netsentinel_grpc_connections{state="newcomer"}')
    hold("at most 128 of one address are kept", newcomers <= 128, f"{newcomers:.0f} kept")
    grown = program.peak_mib() - before
    hold("memory grew by less than 64 MiB", grown < 64, f"grew by {grown:.0f} MiB for {count} in {took:.1f} s")
    begin = time.monotonic()
    hold("the last one is cut after 10 s", hostile.closed_within(open_ones[-1], 15),
         f"last one cut after {time.monotonic() - begin:.1f} s")
    hold("all newcomers are gone", hostile.wait_until(
        lambda: program.metric('netsentinel_grpc_connections{state="newcomer"}') == 0, 5))
    hold("logged and counted", program.refused("slow") > 0 and program.refused("crowded") > 0
         and program.logged("rpc.refused", "reason=slow", "handshake"))
    for connection in open_ones:
        connection.close()
