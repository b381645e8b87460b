"""What parents moved by themselves: their bytes without their children's."""

from evidence_steps import NONE, Delta, add, judge, less


def _unsure(d):
    return Delta(d.life, d.first, d.start, d.end, NONE, d.counted, d.upper, d.visible, d.why)


class Residues:
    """The part of a Menu that knows who is whose child."""

    # --- parents

    def _link(self, k):
        rows = {life.name: life for life in self.live.values()}
        for life in self.stones.values():
            rows.setdefault(life.name, life)
        for life in self.live.values():
            parent = life.readings[-1][1].parent
            life.parent = rows.get(parent) if parent else None

    def _settle_parents(self, k, parents_before):
        everyone = list(self.live.values()) + [
            s for s in self.stones.values()]
        handed = []
        for life in everyone:
            own = [x for x in life.items if x[0] in ("own", "away")]
            life.items = [x for x in life.items if x[0] not in ("own", "away")]
            handed.append((life, own))
        if not self.residue:
            self._settle_roots(handed, parents_before)
            return
        # Bytes of a child go to its parents at both ends of the step.
        live = set(self.live.values())
        for life, own in handed:
            now = life.parent if life in live else parents_before.get(life, life.parent)
            before = parents_before.get(life, now)
            parents = {before, now} | life.past
            for parent in parents - {None}:
                for _, _, d, last in own:
                    parent.items.append(("child", len(parents) == 1, d, last))
            life.past = parents if life.disputed() else set()
        for life, own in handed:
            life.items += [("self", True, d, last) for kind, _, d, last in own if kind == "own"]
        waits = self._waiting()
        for life in everyone:
            if life.gone and life.vanished == k and (life in waits or self._waited(life, k)):
                life.held = True
            if life not in waits or life.gone:
                self._residue(life, k)

    def _settle_roots(self, handed, parents_before):
        """Only a row without a parent counts: without one at every reading of the step. Of a dispute
        in which it had one for a time nothing is sure."""
        live = set(self.live.values())
        for life, own in handed:
            now = life.parent if life in live else parents_before.get(life)
            parents = {now, parents_before.get(life, now)} | life.past
            if parents == {None}:
                self.deltas += [d for _, _, d, _ in own]
            elif None in parents and life.past:
                self.deltas += [_unsure(d) for _, _, d, _ in own]
            life.past = parents if life.disputed() else set()
            life.items = []

    @staticmethod
    def _waited(life, k):
        """True when it waited until now for a child whose dispute this reply settled."""
        return any(kind == "child" and d.first < k - 1 for kind, _, d, _ in life.items) and any(
            kind == "self" and last < k for kind, _, _, last in life.items)

    def _waiting(self):
        waits = set()
        for life in self.live.values():
            if not life.disputed():
                continue
            for at in [life] + sorted(life.past - {None}, key=id):
                for _ in range(33):
                    if at is None or at in waits:
                        break
                    waits.add(at)
                    at = at.parent
        return waits

    def _residue(self, life, k, keep=False):
        """Bytes of the row that its children did not move; `keep` asks without changing anything."""
        if life.gone:
            return self._residue_of_gone(life, k, keep)
        early = [x for x in life.items if 0 <= x[3] < k]
        if self.frozen_first == k and early and len(early) < len(life.items) and not keep:
            # All disputes ended at the reading before; what this one says follows.
            rest = [x for x in life.items if x not in early]
            life.items = early
            self._residue(life, k - 1)
            life.items = rest
        mine = [x[2] for x in life.items if x[0] == "self"]
        theirs = [(x[1], x[2]) for x in life.items if x[0] == "child"]
        out, debt = mine, life.debt
        if theirs or debt != (NONE, NONE, NONE):
            out, debt = self._less_children(life, mine, theirs)
        if not keep:
            self.deltas += out
            life.items, life.debt, life.since_index = [], debt, k
        return out

    def _residue_of_gone(self, life, k, keep):
        """What it may have moved unseen is told as it is; what its children move from then on, and
        all of a stretch in which one of them was disputed, waits until it is back."""
        out = [x[2] for x in life.items if x[0] == "self" and x[2].why == ["vanished"]]
        rest = [x for x in life.items if x[2] not in out]
        if life.held and not keep:
            self.deltas += out
            life.items = rest
            return out
        mine = [x[2] for x in rest if x[0] == "self"]
        theirs, waiting = [], []
        for kind, whole, d, last in rest:
            if kind == "child" and 0 <= last < life.vanished:
                theirs.append((whole, d))
            elif kind == "child":
                waiting.append((kind, whole, d, last))
        debt = life.debt
        if mine:
            unsure = [(None, x[2]) for x in waiting] if life.held else []
            settled, debt = self._less_children(life, mine, theirs + unsure)
            out = out + settled
        if not keep:
            self.deltas += out
            life.items, life.debt = waiting, debt
            if mine:
                life.since_index = life.vanished - 1
        return out

    def _less_children(self, life, mine, theirs):
        p_sure = p_counted = p_upper = NONE
        for d in mine:
            p_sure, p_counted, p_upper = add(p_sure, d.sure), add(p_counted, d.counted), add(
                p_upper, d.upper)
        sure = counted = visible = upper = late = NONE
        for whole, d in theirs:
            counted = add(counted, d.counted)
            if whole is None or d.first < life.since_index:
                late = add(late, d.upper)
                continue
            if whole:
                sure = add(sure, d.sure)
            visible = add(visible, d.visible)
            upper = add(upper, d.upper)
        lo, owed, hi = life.debt
        own_counted = less(p_counted, add(counted, owed))
        own_sure = less(p_sure, add(add(upper, late), hi))
        own_upper = less(p_upper, add(sure, lo))
        debt = (less(add(sure, lo), p_upper), less(add(counted, owed), p_counted),
                less(add(visible, hi), p_sure))
        if not mine:
            return [], debt
        start, end = min(d.start for d in mine), max(d.end for d in mine)
        own_upper = tuple(max(a, b) for a, b in zip(own_upper, own_counted))
        own_sure = tuple(min(a, b) for a, b in zip(own_sure, own_counted))
        before = [d for d in mine if d.why == ["before the boot"]]
        if len(mine) == 2 and len(before) == 1:
            boot = before[0].end
            return [Delta(life, life.since_index, boot, end, own_sure, own_counted, own_counted,
                          own_counted, [["residue"], mine[0].why]),
                    Delta(life, life.since_index, start, boot, NONE, NONE,
                          less(own_upper, own_counted), NONE, [["residue"], before[0].why])], debt
        return [Delta(life, life.since_index, start, end, own_sure, own_counted, own_upper, own_counted,
                      [["residue"]] + [d.why for d in mine])], debt

    # --- answers

    def figures(self):
        """All deltas as if nothing more were ever read."""
        result = list(self.deltas)
        saved = {}
        self.asking = True
        for life in list(self.live.values()):
            if not life.disputed():
                continue
            paths = self._frozen(life, self._paths(life))
            sure, counted, upper, visible, words = judge(paths)
            first, last = life.readings[0][0], life.readings[-1][0]
            saved[life] = Delta(life, first, self.at[first], self.at[last], sure, counted, upper, visible,
                                words)
        self.asking = False
        if not self.residue:
            return result + [d for life, d in saved.items() if {life.parent} | life.past == {None}]
        everyone = list(self.live.values()) + list(self.stones.values())
        items = {life: list(life.items) for life in everyone}
        for life, d in saved.items():
            parents = {life.parent} | life.past
            for parent in parents - {None}:
                parent.items.append(("child", len(parents) == 1, d, -1))
            life.items.append(("self", True, d, -1))
        for life in everyone:
            result += self._residue(life, len(self.snaps) - 1, keep=True)
        for life in everyone:
            life.items = items[life]
        return result
