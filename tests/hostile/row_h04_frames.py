"""What any certificate's holder could burn a server with."""
import contextlib

import world as hostile
from world import frame

TITLE = "endless HPACK header (32 MB), rapid reset, floods of pings, settings and windows"

# :method POST, :scheme http, :path /a.B/C, :authority x
_HEADERS = b"\x83\x86\x44\x06/a.B/C\x41\x01x"


def _resets(count):
    return b"".join(frame(1, 4, stream, _HEADERS) + frame(3, 0, stream, b"\0\0\0\x08")
                    for stream in range(1, 2 * count, 2))


def _header_bomb(world, program, files, hold):
    """Header blocks as large as they may be that name one value of 3,900 bytes 16,000 times."""
    value = b"\x40\x03x-a\x7f\xbd\x1d" + b"v" * 3900
    count = 200 if world.short else 2000
    frames = frame(1, 4, 1, _HEADERS + value) + b"".join(
        frame(1, 4, stream, _HEADERS + b"\xbe" * 16000) for stream in range(3, 2 * count, 2))
    cpu, memory = program.cpu(), program.peak_mib()
    connection = world.tls(program, files)
    connection.sendall(hostile.OPENING)
    connection.recv(9)
    with contextlib.suppress(OSError):
        connection.sendall(frames)
    hold("an honest viewer is served while header bombs come", world.asks(program))
    connection.close()
    used, grown = program.cpu() - cpu, program.peak_mib() - memory
    hold("header bombs cost less than 2 CPU-s and 64 MiB", used < 2 and grown < 64,
         f"header bombs: {used:.2f} CPU-s for {len(frames) >> 20} MiB")


def run(world, hold):
    """Each by a peer of its own; an honest one asks after each."""
    program = world.aggregator()
    hold("served before", world.asks(program))
    files = world.issue("collector", "evil")
    attacks = {
        "endless header": (frame(1, 0, 1, b"\x7f") + frame(9, 0, 1, b"\x80" * 16000)
                           * (100 if world.short else 2000), "http2_header_block"),
        "rapid reset": (_resets(20000), "http2_reset_rate"),
        "ping flood": (frame(6, 0, 0, b"12345678") * 100000, "http2_ping_rate"),
        "settings flood": (frame(4, 0, 0) * 100000, "http2_settings_rate"),
        "window flood": (frame(8, 0, 0, b"\0\0\0\1") * 100000, "http2_window_rate"),
    }
    most = 0
    for what, (frames, reason) in attacks.items():
        cpu, memory = program.cpu(), program.peak_mib()
        connection = world.tls(program, files)
        connection.sendall(hostile.OPENING)
        connection.recv(9)
        with contextlib.suppress(OSError):
            connection.sendall(frames)
        cut = hostile.closed_within(connection, 10)
        used = program.cpu() - cpu
        most = max(most, used)
        hold(f"{what} is cut", cut and hostile.wait_until(lambda r=reason: program.refused(r) == 1, 5))
        hold(f"{what} costs less than 2 CPU-s and 32 MiB",
             used < 2 and program.peak_mib() - memory < 32)
        hold(f"{what} is logged with name and address",
             program.logged("rpc.refused", f"reason={reason}", "collector evil", "127.0.0.1:"))
    _header_bomb(world, program, files, hold)
    hold("an honest viewer is served after", world.asks(program), f"{most:.2f} CPU-s at most")
    hold("/healthz is alive", program.get("/healthz")[0] == 200)
