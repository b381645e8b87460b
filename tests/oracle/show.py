"""Prints a world for people: what happened, what was read, and all figures side by side."""

from check import broken_assumptions, contained, known, spans, true_bytes


def text(world, menu, product=None):
    out = [f"seed {world.seed}: themes {', '.join(world.themes)}; zone {world.zone}, day starts at "
           f"{world.day_start // 3600} h, line {world.line_rate} bit/s, polls every "
           f"{world.poll // 1_000_000} s"]
    zero = world.snaps[0].sampled
    happened = [(at, 0, words) for at, words in world.log]
    for k, s in enumerate(world.snaps):
        s_words = "+".join(sorted(menu.times(k - 1, k).explanations)) if k else "first"
        lines = [f"reply {k} [{s_words}] end {s.end / 1e6:.3f} stamp {(menu.at[k] - zero) / 1e6:+.3f} "
                 f"uptime {s.uptime} session {s.session}"
                 + (f" boundary skew {s.skew_ms}" if s.boundary else "")]
        for r in s.rows:
            limit = f" limit {r.max_up}/{r.max_down} burst {r.burst_up}/{r.burst_down}" if (
                r.max_down) else ""
            c = ""
            lines.append(f"    *{r.id} {r.name}{'(' + r.parent + ')' if r.parent else ''}"
                         f"{' dynamic' if r.dynamic else ''} {r.up}/{r.down}/{r.packets}{limit}{c}"
                         f" {r.target}{'   <- BAD' if r.name in s.bad else ''}")
        happened.append((s.sampled, 1, "\n".join(lines)))
    happened.sort(key=lambda h: (h[0], h[1]))
    for i, e in enumerate(world.edges):
        out.append(f"  day {i} {world.dates[i]} begins {(e - zero) / 1e6:+.3f}")
    for at, _, words in happened:
        out.append(f"{(at - zero) / 1e6:+12.3f} {words}")
    out.append("explanations:")
    for d in menu.figures():
        if d.upper != (0, 0) or d.why != [("on",)]:
            out.append(f"  {d.name} ({(d.start - zero) / 1e6:+.3f}, {(d.end - zero) / 1e6:+.3f}] sure "
                       f"{d.sure} counted {d.counted} upper {d.upper}  {d.why}")
    for words in broken_assumptions(world, menu):
        out.append(f"  ASSUMPTION BROKEN: {words}")
    figures = menu.figures()
    out.append("figures (upload, download):")
    for first, last in spans(world):
        for name in sorted(world.names):
            truth = true_bytes(world, name, first, last)
            sure, counted, upper = known(world, figures, name, first, last)
            mark = "" if contained(truth, sure, upper) else "   <- TRUTH OUTSIDE"
            out.append(f"  days {first}-{last} {name}: truth {truth} enumerator sure {sure} counted "
                       f"{counted} upper {upper}{mark}")
            if product and (first, last, name) in product:
                out.append(f"      product {product[(first, last, name)]}")
    return "\n".join(out)
