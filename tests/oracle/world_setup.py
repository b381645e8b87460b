"""The setting of a world: its site, its router, its queues, and what may happen to them."""

import datetime
import zoneinfo

from model import SECOND, Row
from world_events import Queue

ZONES = ("UTC", "Asia/Karachi", "Europe/Berlin", "America/New_York", "Asia/Kathmandu",
         "Africa/Cairo", "America/Havana", "Australia/Lord_Howe")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
HOUR = 3600 * SECOND
# Instants near which something happens to a zone's days, and an ordinary one.
STARTS = ("2026-01-14", "2026-03-28", "2026-03-07", "2026-04-23", "2026-10-24", "2026-10-31",
          "2026-04-04")
EVENTS = ("reset", "reset_all", "cron", "reboot", "restore", "clone", "rename", "rename_target",
          "retarget", "reuse_id", "redial", "redial_same_id", "recreate", "remove", "add",
          "reparent", "limits", "host_pause", "host_reboot", "new_session", "zeros", "zeros_all",
          "low", "spike", "dip", "missing", "slow", "cut", "stamp")
_zones = {}


def zone(name):
    if name not in _zones:
        _zones[name] = zoneinfo.ZoneInfo(name)
    return _zones[name]


def instant(date, zone_name, seconds):
    """When the local day's clock shows so many seconds after midnight: the first time that it does,
    and of a time that is skipped the first instant after the gap."""
    local = datetime.datetime.combine(date, datetime.time()) + datetime.timedelta(seconds=seconds)
    at = local.replace(tzinfo=zone(zone_name)).astimezone(datetime.timezone.utc)
    while at.astimezone(zone(zone_name)).replace(tzinfo=None) > local:
        earlier = at - datetime.timedelta(seconds=1)
        if earlier.astimezone(zone(zone_name)).replace(tzinfo=None) < local:
            break
        at = earlier
    delta = at - EPOCH
    return (delta.days * 86400 + delta.seconds) * SECOND


class Setup:
    """The part of a World that is there before anything happens."""

    def _setup(self):
        rng = self.rng
        self.zone = rng.choice(ZONES)
        self.day_start = rng.choice((0, 0, 0, 4 * 3600))
        first = datetime.date.fromisoformat(rng.choice(STARTS))
        self.dates = [first + datetime.timedelta(days=i) for i in range(-2, 8)]
        self.edges = [instant(d, self.zone, self.day_start) for d in self.dates]
        self.cut_times = []  # local seconds of the day
        middle = self.edges[2] if rng.random() < 0.75 else self.edges[2] + 11 * HOUR
        self.poll = rng.choice((30, 30, 30, 10, 60, 300)) * SECOND
        self.now = middle - rng.randrange(1, 6) * self.poll - rng.randrange(self.poll)
        if self.like is not None:
            self._be_like(self.like)
        self.host = "host-1" if self.like is None else "host-2"
        self.host_boot = self.now - rng.randrange(1, 10**6) * SECOND
        self.host_stopped = 0  # what its clock has missed
        self.paused = 0
        self.decides = rng.random() < 0.5
        self.session = 1
        self.line_rate = rng.choice((10_000_000_000, 1_000_000_000, 200_000_000))
        if self.like is not None:
            self.line_rate = self.like.line_rate
        self.boot = self.now - rng.choice((rng.randrange(1, 200), rng.randrange(1, 10**7))) * SECOND
        self.fingerprint = 7
        self.received_late = rng.choice((0, 0, 0, 20 * SECOND))
        self.boundaries = rng.random() < 0.6
        self.next_id = 1
        count = rng.randrange(1, 4) if not self.large else rng.randrange(2, 9)
        has_parent = rng.random() < (0.6 if count > 1 or self.large else 0.3)
        self.queues = []
        if has_parent:
            self.queues.append(self._make("site", "", rng.choice((0, 100_000_000, 50_000_000))))
            if self.large and rng.random() < 0.5:
                self.queues.append(self._make("tower", "site", 0))
        for i in range(count):
            parent = ""
            if has_parent and rng.random() < 0.85:
                parent = self.queues[-1].row.name if self.queues[-1].row.name == "tower" else "site"
                if parent == "site" and len(self.queues) > 1 and self.queues[1].row.name == "tower":
                    parent = rng.choice(("site", "tower"))
            self.queues.append(self._make(f"q{i}", parent,
                                          rng.choice((0, 50_000_000, 10_000_000, 2_000_000))))
        self._kinds_setup_queues()
        for q in self.queues:
            old = rng.choice((0, rng.randrange(10**5), rng.randrange(10**9), rng.randrange(10**12)))
            if old:
                self._count(q, old // 9 if q.menu == "simple" else 0, old)
        self.image = [q.copy() for q in self.queues]
        self.image_uptime = max(0, (self.now - self.boot) // 2)
        themes = 1 + (rng.random() < 0.6) + (rng.random() < 0.3) + 2 * int(self.large)
        self.themes = rng.sample(EVENTS, themes)
        if self.kind in EVENTS and self.kind not in self.themes:
            self.themes[0] = self.kind
        self._kinds_setup()
        self.marks, self.segments = self._marks()
        self._break_setup()
        self.cron_at = self.now + rng.randrange(60) * SECOND
        self.steps = 7 if not self.large else rng.randrange(12, 30)

    def _be_like(self, like):
        """The same site and time; another router."""
        self.zone, self.day_start, self.dates, self.edges = (like.zone, like.day_start, like.dates,
                                                             like.edges)
        self.poll = like.poll
        self.now = like.snaps[0].sampled + self.rng.randrange(-like.poll // 2, like.poll // 2)

    def _marks(self):
        """Instants at which a day or a segment of one begins, and each one's (day, segment)."""
        marks, segments = [], []
        for i, date in enumerate(self.dates):
            end = self.edges[i + 1] if i + 1 < len(self.edges) else None
            offsets = sorted(c if c > self.day_start else c + 86400 for c in self.cut_times)
            found = [self.edges[i]]
            for offset in offsets:
                at = max(instant(date, self.zone, offset), found[-1])
                found.append(at if end is None else min(at, end))
            for segment, at in enumerate(found):
                if segment + 1 < len(found) and found[segment + 1] == at or at == end:
                    continue  # empty
                marks.append(at)
                segments.append((i, segment))
        return marks, segments

    def _local_seconds(self, at):
        """The local time of day, in seconds."""
        local = (EPOCH + datetime.timedelta(microseconds=at)).astimezone(zone(self.zone))
        return local.hour * 3600 + local.minute * 60 + local.second

    def _make(self, name, parent, limit):
        rng = self.rng
        row = Row(self.next_id, name, target=f"10.0.0.{self.next_id}/32", parent=parent,
                  dynamic=rng.random() < 0.3, max_up=limit // 4 * int(rng.random() < 0.9),
                  max_down=limit)
        if limit and rng.random() < 0.3:
            row.burst_down = limit * 2
        self.next_id += 1
        mode = rng.choice(("idle", "steady", "steady", "bursty", "full"))
        self.names.add(name)
        return Queue(row, mode)
