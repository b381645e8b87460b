"""Prints a world for people: what happened, what was read, and all figures side by side."""

from check import broken_assumptions, contained, known_bytes, true_bytes


def text(part, product, asked):
    """`product`: by (what, name), words; `asked`: (what, name, begin, end) of each question."""
    world, menu = part.world, part.known
    out = [f"seed {world.seed} {world.router}: themes {', '.join(world.themes)}; kinds "
           f"{', '.join(sorted(world.kinds)) or 'none'}; parents "
           f"{'residue' if world.residue else 'roots'}; zone {world.zone}, day starts at "
           f"{world.day_start // 3600} h, line {world.line_rate} bit/s, polls every "
           f"{world.poll // 1_000_000} s"]
    zero = world.snaps[0].sampled
    happened = [(at, 0, words) for at, words in world.log]
    for k, s in enumerate(world.snaps):
        s_words = "+".join(sorted(menu.times(k - 1, k).explanations)) if k else "first"
        lines = [f"reply {k} [{s_words}] end {s.end / 1e6:.3f} stamp {(menu.at[k] - zero) / 1e6:+.3f} "
                 f"uptime {s.uptime} session {s.session}"
                 + (f" boundary skew {s.skew_ms}" if s.boundary else "")]
        of_tree = world.tree_snaps[k].rows if world.tree_snaps else []
        for r in s.rows + of_tree:
            limit = f" limit {r.max_up}/{r.max_down} burst {r.burst_up}/{r.burst_down}" if (
                r.max_down) else ""
            c = ""
            lines.append(f"    *{r.id} {r.name}{'(' + r.parent + ')' if r.parent else ''}"
                         f"{' dynamic' if r.dynamic else ''} {r.up}/{r.down}/{r.packets}{limit}{c}"
                         f" {r.target}{'   <- BAD' if r.name in s.bad else ''}"
                         f"{' (tree)' if r in of_tree else ''}")
        happened.append((s.sampled, 1, "\n".join(lines)))
    for s in world.twin_snaps:
        happened.append((s.sampled, 1, f"r2 reads, uptime {s.uptime}: " + ", ".join(
            f"*{r.id} {r.name} {r.up}/{r.down}" for r in s.rows)))
    happened.sort(key=lambda h: (h[0], h[1]))
    for i, e in enumerate(world.edges):
        out.append(f"  day {i} {world.dates[i]} begins {(e - zero) / 1e6:+.3f}")
    for i in world.cut_times:
        out.append(f"  days are cut at second {i}")
    for at, _, words in happened:
        out.append(f"{(at - zero) / 1e6:+12.3f} {words}")
    out.append("explanations:")
    for d in menu.figures():
        if d.upper != (0, 0) or d.why != [("on",)]:
            out.append(f"  {d.name} ({(d.start - zero) / 1e6:+.3f}, {(d.end - zero) / 1e6:+.3f}] sure "
                       f"{d.sure} counted {d.counted} upper {d.upper}  {d.why}")
    for words in broken_assumptions(world, menu):
        out.append(f"  ASSUMPTION BROKEN: {words}")
    out.append("figures (upload, download):")
    for what, name, begin, end in dict.fromkeys(asked):
        truth = true_bytes(world, name, begin, end)
        sure, counted, upper = known_bytes(world, menu.figures(), name, begin, end)
        mark = "" if contained(truth, sure, upper) else "   <- TRUTH OUTSIDE"
        out.append(f"  {what} {name}: truth {truth} enumerator sure {sure} counted {counted} upper "
                   f"{upper}{mark}")
        out.append(f"      product {product[(what, name)]}")
    return "\n".join(out)
