"""What happens to a router between two replies."""

from model import SECOND, Row


class Queue:
    """A queue as the router has it. `pending` are true bytes that no reply has shown yet, by day."""

    __slots__ = ("row", "mode", "pending", "shown", "shown_name", "shown_parent", "changed_name",
                 "missed", "run", "menu")

    def __init__(self, row, mode):
        self.row = row
        self.mode = mode
        self.menu = "simple"
        self.pending = {}
        self.shown = False
        self.shown_name = row.name
        self.shown_parent = row.parent
        self.changed_name = False
        self.missed = 0  # replies in a row that lacked it
        self.run = 0  # of the router's counters, in which a reply last showed it

    def copy(self):
        r = self.row
        q = Queue(Row(r.id, r.name, r.target, r.parent, r.dynamic, r.max_up, r.max_down, r.burst_up,
                      r.burst_down, r.up, r.down, r.packets), self.mode)
        q.menu = self.menu
        q.shown = self.shown
        q.shown_name = self.shown_name
        q.shown_parent = self.shown_parent
        return q


class Events:
    """The part of a World that does one thing to its queues, its router or the collector's host."""

    def _note(self, words):
        self.log.append((self.now, words))

    def _broke(self, q, kind):
        if q.row.up == 0 and q.row.down == 0:
            return  # nothing to lose
        self.breaks.append((len(self.snaps), q.shown_name, q.row.id, kind, q.menu))

    def _pick(self, shown=True, leaf=False):
        able = [q for q in self.queues if (q.shown or not shown) and not q.changed_name
                and self.counts(q.row.name)]
        if leaf:
            able = [q for q in able if not any(c.row.parent == q.row.name for c in self.queues)]
        return self.rng.choice(able) if able else None

    @staticmethod
    def _zero(q):
        q.row.up = q.row.down = q.row.packets = 0

    def _event(self, kind):
        """One thing that happens now; what concerns a reply is done by _reply."""
        before = len(self.log)
        self._one_event(kind)
        if len(self.log) > before or kind in ("new_session",):
            self.happened.add("cron" if kind == "reset_all" and "cron" in self.themes else kind)

    def _one_event(self, kind):
        rng = self.rng
        if kind in ("reset", "dip", "redial", "redial_same_id", "recreate", "remove", "rename",
                    "rename_target", "retarget", "reuse_id", "reparent", "limits"):
            leaf = kind not in ("reset", "dip", "limits", "retarget")
            q = self._pick(leaf=leaf)
            if q is None or q.missed or q.row.dynamic and kind in ("rename", "rename_target", "retarget",
                                                       "limits", "reparent"):
                return
            self._queue_event(kind, q)
            return
        if kind == "reset_all":
            self._note("reset-counters-all")
            for q in self.queues:
                self._broke(q, kind)
                self._zero(q)
        elif kind == "reboot":
            self._note("reboot")
            self.boot = self.now
            self.session += 1
            self.turn = "restart"
            for q in self.queues:
                self._zero(q)
                if q.row.dynamic and rng.random() < 0.5:
                    q.row.id = self.next_id
                    self.next_id += 1
        elif kind in ("restore", "clone"):
            self._restore(kind)
        elif kind == "add":
            if len(self.queues) < (4 if not self.large else 14):
                parent = "site" if rng.random() < 0.6 and any(
                    q.row.name == "site" for q in self.queues) else ""
                q = self._make(f"n{self.next_id}", parent, rng.choice((0, 50_000_000, 2_000_000)))
                self.queues.append(q)
                self._note(f"added {q.row.name}")
        elif kind == "host_pause":
            length = rng.randrange(1, 600) * SECOND
            self._note(f"host paused {length // SECOND} s, {'decided' if self.decides else 'not decided'}")
            self._pass(self.now + length)
            self.host_stopped += length
            if self.decides:
                self.paused += length
            if rng.random() < 0.5:
                self.session += 1
        elif kind == "host_reboot":
            self._note("the collector's host rebooted")
            self.host = f"host-{self.session + 1}"
            self.host_boot = self.now - 60 * SECOND
            self.host_stopped = 0
            self.paused = 0
            self.session += 1
        elif kind == "new_session":
            self.session += 1

    def _queue_event(self, kind, q):
        rng = self.rng
        row = q.row
        self._note(f"{kind} {row.name}")
        if kind == "reset":
            self._broke(q, kind)
            self._zero(q)
        elif kind == "dip":
            self._broke(q, kind)
            row.down -= min(row.down, rng.choice((1, 1000, 65536, row.down // 1000, row.down // 3)))
        elif kind in ("redial", "redial_same_id", "recreate"):
            again = q.copy()
            self._end(q)
            self._broke(q, kind)
            self._zero(again)
            again.shown = False
            if kind != "redial_same_id":
                again.row.id = self.next_id
                self.next_id += 1
            self.queues.append(again)
        elif kind == "remove":
            self._end(q)
        elif kind in ("rename", "rename_target"):
            row.name = f"r{len(self.log)}"
            self.names.add(row.name)
            q.changed_name = True
            if kind == "rename_target":
                row.target = f"10.1.0.{len(self.log)}/32"
        elif kind == "retarget":
            row.target = f"10.2.0.{len(self.log)}/32"
        elif kind == "reuse_id":
            self._end(q)
            other = self._make(f"u{len(self.log)}", row.parent, row.max_down)
            other.row.id = row.id
            other.row.dynamic = row.dynamic
            if q.menu == "tree":
                self._to_tree(other)
            else:
                self.queues.append(other)
        elif kind == "reparent":
            q.changed_name = True  # its limit changes with it: must be shown by the next reply
            top = "tall" if q.menu == "tree" else "site"
            row.parent = "" if row.parent else (
                top if any(p.row.name == top and p is not q for p in self.queues) else "")
        elif kind == "limits":
            q.changed_name = True  # must be shown by the next reply: stated
            row.max_down = rng.choice((0, 2_000_000, 50_000_000, 100_000_000))
            row.max_up = row.max_down // 4 if q.menu == "simple" else 0
            if rng.random() < 0.5:
                row.burst_down = row.max_down * rng.randrange(0, 3)

    def _restore(self, kind):
        """The router goes on from another state: an image of itself, or a clone of it."""
        rng = self.rng
        uptime = self.now - self.boot
        span = self.now - self.since + self.until - self.now
        if kind == "restore":
            image_uptime = self.image_uptime
            if image_uptime < span + 120 * SECOND or uptime - image_uptime < span // 1000 + 60 * SECOND:
                return
        else:
            image_uptime = uptime + rng.randrange(200, 10**6) * SECOND
        self._note(kind)
        for q in list(self.queues):
            self._broke(q, kind)
            self._tell(q, q.shown_name)
        by_id = {q.row.id: q for q in self.queues}
        rows = []
        for old in self.image:
            q = old.copy()
            if kind == "clone" and rng.random() < 0.5:
                more = rng.randrange(10**6), rng.randrange(10**9)
                self._count(q, more[0] if q.menu == "simple" else 0, more[1])
            if q.row.id in by_id and by_id[q.row.id].row.name == q.row.name:
                q.shown = by_id[q.row.id].shown
            rows.append(q)
        self.queues = rows
        self.turn = "timeline"
        self.boot = self.now - image_uptime
        self.session += 1
