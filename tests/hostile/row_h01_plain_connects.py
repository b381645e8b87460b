"""Strangers that connect and leave, more of them than there are descriptors."""
import world as hostile

TITLE = "1,100 plain connects at 1,024 descriptors, closed"


def run(world, hold):
    """Once with a soft limit that can be raised, once with a hard one."""
    for hard in (None, 1024):
        what = "hard limit" if hard else "soft limit"
        program = world.aggregator(soft=1024, hard=hard)
        hold(f"{what}: served before", world.asks(program))
        connections = [world.plain(program) for _ in range(1100)]
        hold(f"{what}: an honest viewer is served meanwhile", world.asks(program))
        for connection in connections:
            connection.close()
        hold(f"{what}: served after", world.asks(program, 5))
        hold(f"{what}: /healthz is alive", program.get("/healthz")[0] == 200)
        hold(f"{what}: /readyz is ready", program.get("/readyz")[0] == 200)
        hold(f"{what}: all newcomers are gone", hostile.wait_until(
            lambda program=program: program.metric(
                'netsentinel_grpc_connections{state="newcomer"}') == 0, 15))
        hold(f"{what}: what was refused is counted and logged",
             program.refused("crowded") > 0 and program.logged("rpc.refused", "reason=crowded",
                                                               "address=127.0.0.1:"))
        hold(f"{what}: ends cleanly", program.stop() == 0)
