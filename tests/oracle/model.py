"""What a router shows and what a collector adds: plain values that the oracle's parts share."""

from dataclasses import dataclass, field

SECOND = 1_000_000
MOST = 2**63 - 1  # what a stored total may hold


@dataclass(slots=True)
class Row:
    """One row of a reply: what is set, and the counters at one instant."""

    id: int
    name: str
    target: str = ""
    parent: str = ""
    dynamic: bool = False
    max_up: int = 0
    max_down: int = 0
    burst_up: int = 0
    burst_down: int = 0
    up: int = 0
    down: int = 0
    packets: int = 0


@dataclass(slots=True)
class Snap:
    """One complete reply of one menu with the collector's header. Instants in microseconds."""

    router: str
    menu: str
    host: str
    begin: int
    end: int
    session: int
    stamp: int
    uptime: int  # whole seconds
    serial: str
    fingerprint: int
    boundary: bool
    skew_ms: int
    paused: int
    decided: bool
    received: int
    rows: list = field(default_factory=list)
    # What only the world knows: the instant at which the router read its counters, and the names
    # of rows whose counters in this reply are not the router's.
    sampled: int = 0
    bad: set = field(default_factory=set)


def command(snap):
    """The driver's lines for a snapshot."""
    lines = [
        f"snap {snap.router} {snap.menu} {snap.host or '-'} {snap.begin} {snap.end} {snap.session} "
        f"{snap.stamp} {snap.uptime} {snap.serial or '-'} {snap.fingerprint} {int(snap.boundary)} "
        f"{snap.skew_ms} {snap.paused} {int(snap.decided)} {len(snap.rows)}"
    ]
    for r in snap.rows:
        lines.append(
            f"row {r.id} {r.name} {r.target or '-'} {r.parent or '-'} {int(r.dynamic)} {r.max_up} "
            f"{r.max_down} {r.burst_up} {r.burst_down} {r.up} {r.down} {r.packets}"
        )
    return lines


def attribution(snap, previous):
    """The instant a snapshot counts for: docs/accounting.md, "Time"."""
    stamp = snap.stamp
    if stamp > snap.received + 60 * SECOND or stamp < snap.received - 40 * 86400 * SECOND:
        at = snap.received
    else:
        at = min(stamp, snap.received + 5 * SECOND)
    at = max(at, previous)
    if snap.boundary and at == stamp and snap.skew_ms > 1000:
        at += snap.skew_ms * 1000
    return at
