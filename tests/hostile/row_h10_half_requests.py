"""Half requests on the port of the probes, refilled as they are cut."""
import contextlib
import socket

import world as hostile

TITLE = "300 half HTTP requests, refilled"


def run(world, hold):
    """Six rounds of strangers, a probe of each kind after each."""
    program = world.aggregator()
    hold("ready before", hostile.wait_until(lambda: program.get("/readyz")[0] == 200, 20))
    answered = asked = 0
    half = []
    for _ in range(2 if world.short else 6):
        for _ in range(300):
            stranger = socket.create_connection(("127.0.0.1", program.ports["http"]), timeout=20)
            with contextlib.suppress(OSError):
                stranger.sendall(b"GET /readyz HTTP/1.1\r\nX: ")
            half.append(stranger)
        for path in ("/healthz", "/readyz", "/metrics"):
            asked += 1
            answered += program.get(path)[0] == 200
    hold("every probe is answered", answered == asked, f"{answered} of {asked} probes")
    hold("and it is said once", program.logged("http.crowded"))
    for stranger in half:
        stranger.close()
