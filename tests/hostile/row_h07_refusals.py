"""Whoever is refused leaves a trace."""
import time

import world as hostile

TITLE = "wrong role, foreign, missing and revoked certificates; a new certificate beside the old key"


def _refused(world, program, files, seconds=10):
    """What the server says to a peer it does not want; None when it was let in."""
    try:
        connection = world.tls(program, files)
        connection.sendall(hostile.OPENING)
        text = hostile.everything(connection, seconds)
    except OSError as error:
        return str(error)
    # An answer that begins with SETTINGS of gRPC is no refusal.
    return None if b"may not" not in text and b"revoked" not in text and text[3:4] == b"\4" else text


def run(world, hold):
    """Over one aggregator that reads a revocation list."""
    mail = world.issue("notifier", "mailer")
    stolen = world.issue("collector", "stolen")
    world.issue("collector", "victim")
    program = world.aggregator(crl=world.revoke("collector", "victim"))
    hold("served before", world.asks(program))
    connection = world.tls(program, stolen)
    connection.sendall(hostile.OPENING)
    connection.recv(9)

    hold("plain HTTP/2 is refused", hostile.closed_within(_opened(world.plain(program)), 10))
    hold("no certificate is refused", _refused(world, program, None) is not None)
    foreign = hostile.World(world.bin, _folder(world, "foreign"), True)
    hold("a foreign certificate is refused",
         _refused(world, program, foreign.issue("collector", "honest")) is not None)
    hold("the three are counted and logged with address and reason",
         hostile.wait_until(lambda: program.refused("handshake") == 3)
         and program.logged("rpc.refused", "reason=handshake", "address=127.0.0.1:"))
    aggregator = world.issue("aggregator", "other")
    words = _refused(world, program, aggregator)
    hold("a wrong role is told so", words and b"aggregator other may not connect here" in words)
    hold("a wrong role is logged and counted", program.refused("role") == 1
         and program.logged("reason=role", "aggregator other"))
    hold("a revoked certificate is told so",
         b"is revoked" in (_refused(world, program, world.issue("collector", "victim")) or b""))

    begin = time.monotonic()
    world.revoke("collector", "stolen")
    hold("a connection is cut when its certificate is revoked",
         hostile.closed_within(connection, 30), f"revoked connection cut after {time.monotonic() - begin:.0f} s")
    hold("revocations are logged and counted", program.refused("revoked") >= 2
         and program.logged("reason=revoked", "collector stolen"))
    hold("a role that may connect stays", _refused(world, program, mail, 2) is None)

    main, following = world.issue("aggregator", "main"), world.issue("aggregator", "next")
    hostile.copy(following["cert"], main["cert"])
    hold("a certificate without its key is said on /readyz", hostile.wait_until(
        lambda: "does not belong to the certificate" in program.get("/readyz")[1], 30))
    hold("the old pair serves meanwhile", world.asks(program, 5))
    hostile.copy(following["key"], main["key"])
    hold("the pair is taken over", hostile.wait_until(
        lambda: "certificates" not in program.get("/readyz")[1]
        and program.logged("event=rpc.certificates"), 30))
    hold("an honest viewer is served after", world.asks(program))


def _opened(connection):
    connection.sendall(hostile.OPENING)
    return connection


def _folder(world, name):
    folder = world.folder / name
    folder.mkdir()
    return folder
