"""Bytes of deltas, by local day and by spans of days."""


def divide(amount, start, end, edges):
    """Shares of an amount between ascending edges inside (start, end): largest remainder."""
    cuts = [start] + list(edges) + [end]
    total = end - start
    shares = []
    for i in range(len(cuts) - 1):
        whole = amount * (cuts[i + 1] - cuts[i])
        shares.append([whole // total, whole % total, i])
    rest = amount - sum(s[0] for s in shares)
    for s in sorted(shares, key=lambda s: (-s[1], s[2]))[:rest]:
        s[0] += 1
    return [s[0] for s in shares]


def span_figures(deltas, name, begin, end, edges):
    """[sure, counted, upper] of a name over (begin, end]; `edges` are all day starts, ascending."""
    sure, counted, upper = [0, 0], [0, 0], [0, 0]
    for d in deltas:
        if d.name != name or d.end <= begin or (d.start >= end and d.end > end):
            continue
        if d.start >= begin and d.end <= end:
            for w in (0, 1):
                sure[w] += d.sure[w]
                counted[w] += d.counted[w]
                upper[w] += d.upper[w]
            continue
        inner = [e for e in edges if d.start < e < d.end]
        cuts = [d.start] + inner + [d.end]
        for w in (0, 1):
            for i, share in enumerate(divide(d.counted[w], d.start, d.end, inner)):
                if cuts[i] >= begin and cuts[i + 1] <= end:
                    counted[w] += share
            upper[w] += d.upper[w]
    return tuple(sure), tuple(counted), tuple(upper)
