"""A router whose names, targets and comments are without measure and new in every poll, beside an
honest one of the same collector."""
import signal
import time

import world as hostile
from router import Router

TITLE = "a router of 3,000 queues that shows 29 MB of new texts each poll"
QUEUES = 3000
MOST_MIB = 512


def huge(poll):
    """Valid rows: a name of 1.9 KB, target and comment of 3.9 KB."""
    return [(f"=.id=*{i + 1:X}", f"=name={poll}-{i}-".ljust(1906, "n"), "=target=" + "t" * 3900,
             "=comment=" + "c" * 3900, "=bytes=1/2", "=packets=1/1") for i in range(QUEUES)]


def honest(poll):
    return [("=.id=*1", "=name=alice", "=target=10.0.0.1/32",
             f"=bytes={poll * 1000}/{poll * 1000}", f"=packets={poll}/{poll}")]


def aggregator(world, store):
    files = world.issue("aggregator", "main")
    return hostile.Program(world, "aggregator", f"""
listen: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0"}}
tls: {{ca: {files['ca']}, cert: {files['cert']}, key: {files['key']}}}
store: {{url: "sqlite://{store}", flush_interval: 2s}}
sites: [{{id: lahore, time_zone: Asia/Karachi}}]
routers:
  - {{id: hq-core, site: lahore, collectors: [honest]}}
  - {{id: stranger, site: lahore, collectors: [honest]}}
""")


def collector(world, target, routers):
    files = world.issue("collector", "honest")
    password = world.folder / "password"
    password.touch(mode=0o600)
    password.write_text("pw\n")
    return hostile.Program(world, "collector", f"""
collector: {{id: honest, state_dir: {world.folder}/state}}
aggregator: {{target: "127.0.0.1:{target}", tls: {{ca: {files['ca']}, cert: {files['cert']},
              key: {files['key']}}}}}
listen: {{grpc: "127.0.0.1:0", http: "127.0.0.1:0"}}
routers:
""" + "".join(f"""  - {{id: {name}, address: "127.0.0.1:{router.port}", transport: api, username: ns,
     password_file: {password}, poll_interval: 1s}}
""" for name, router in routers.items()))


def counted(program):
    return program.metric("netsentinel_ingest_snapshots_total")


def run(world, hold):
    """Ten polls of it, then it behaves; then the aggregator is killed and starts again."""
    shown = [huge]
    routers = {"hq-core": Router(honest), "stranger": Router(lambda poll: shown[0](poll))}
    store = world.folder / "store.db"
    program = aggregator(world, store)
    reader = collector(world, program.grpc, routers)
    polls = 3 if world.short else 10
    hold("it is read again and again", hostile.wait_until(
        lambda: routers["stranger"].polls >= polls, 90))
    before = counted(program)
    hold("the honest router is counted meanwhile", hostile.wait_until(
        lambda: counted(program) >= before + 3, 20))
    hold("the reply is refused in words", hostile.wait_until(lambda: reader.logged(
        "router=stranger", "the limit for so many is"), 10))
    hold("with an event at the aggregator", hostile.wait_until(
        lambda: program.logged("ingest.incomplete_reply", "router=stranger"), 10))
    hold("both programs are alive and ready", all(
        one.alive() and one.get("/readyz")[0] == 200 for one in (program, reader)))
    spool = sum(path.stat().st_size for path in (world.folder / "state").iterdir())
    hold("its texts are not spooled", spool < 8 << 20, f"spool {spool >> 10} KiB")
    hold(f"within {MOST_MIB} MiB", max(program.peak_mib(), reader.peak_mib()) < MOST_MIB,
         f"aggregator {program.peak_mib():.0f} MiB, collector {reader.peak_mib():.0f} MiB")

    program.child.send_signal(signal.SIGKILL)
    program.child.wait()
    begin = time.monotonic()
    again = aggregator(world, store)
    hold("serves within 5 s after a kill", hostile.wait_until(
        lambda: again.get("/readyz")[0] == 200, 5), f"{time.monotonic() - begin:.1f} s")
    hold("an honest viewer is answered", world.asks(again))
    again.stop()

    shown[0] = honest
    hold("it is taken again when it behaves", hostile.wait_until(
        lambda: reader.logged("router.reachable", "router=stranger"), 30))
    for router in routers.values():
        router.close()
