"""What others count of the same readings, by their published rules.

A reading is (seconds, counter, session): the session is what a NAS would say, the others do not see
it. Every function gives the bytes of the window (begin, end].
"""


def prometheus(readings, begin, end):
    """increase(): a drop is a reset, the ends of the window are extrapolated."""
    inside = [(t, v) for t, v, _ in readings if begin < t <= end]
    if len(inside) < 2:
        return 0.0
    result = inside[-1][1] - inside[0][1]
    for (_, before), (_, now) in zip(inside, inside[1:]):
        if now < before:
            result += before
    sampled = inside[-1][0] - inside[0][0]
    average = sampled / (len(inside) - 1)
    to_start, to_end = inside[0][0] - begin, end - inside[-1][0]
    if result > 0:
        to_start = min(to_start, sampled * inside[0][1] / result)
    reach = sampled
    for distance in (to_start, to_end):
        reach += distance if distance < average * 1.1 else average / 2
    return result * reach / sampled


def victoria_metrics(readings, begin, end, stale=300):
    """increase(): counts from the last reading before the window, a drop below an eighth adds 0, a
    first value counts from 0 only when it is small beside the next step."""
    corrected, correction, before = [], 0, None
    for t, v, _ in readings:
        if before is not None and v < before:
            correction += before - v if (before - v) * 8 < before else before
        corrected.append((t, v + correction))
        before = v
    inside = [(t, v) for t, v in corrected if begin < t <= end]
    if not inside:
        return 0.0
    earlier = [(t, v) for t, v in corrected if t <= begin]
    if earlier and inside[0][0] - earlier[-1][0] <= stale:
        first = earlier[-1][1]
    else:
        step = inside[1][1] - inside[0][1] if len(inside) > 1 else 0
        first = 0 if abs(inside[0][1]) < 10 * (abs(step) + 1) else inside[0][1]
    return inside[-1][1] - first


def rrdtool(readings, begin, end, most=125_000_000, heartbeat=120):
    """COUNTER with a maximum: a drop is a wrap, what is above the maximum or after a gap longer than
    the heartbeat is unknown and adds nothing; steps are divided at the window's edges."""
    total = 0.0
    for (t0, before, _), (t1, now, _) in zip(readings, readings[1:]):
        if t1 - t0 > heartbeat or t1 == t0:
            continue
        step = now - before
        if step < 0:
            step += 2**32
        if step < 0:
            step += 2**64 - 2**32
        if step / (t1 - t0) > most:
            continue
        inside = min(t1, end) - max(t0, begin)
        if inside > 0:
            total += step * inside / (t1 - t0)
    return total


def librenms(readings, begin, end):
    """Billing: a drop repeats the last step, and a step counts where it was read."""
    total, last = 0, 0
    for (_, before, _), (t, now, _) in zip(readings, readings[1:]):
        step = now - before if now >= before else last
        last = step
        if begin < t <= end:
            total += step
    return total


def freeradius(readings, begin, end):
    """Interim updates: a new session, told by the NAS, begins at 0; what a session has when it is
    first heard of lands there, and later updates overwrite."""
    total, known = 0, {}
    for t, v, session in readings:
        if begin < t <= end:
            total += v - known.get(session, 0)
        known[session] = v
    return total


PEERS = (("Prometheus", prometheus), ("VictoriaMetrics", victoria_metrics), ("RRDtool", rrdtool),
         ("LibreNMS", librenms), ("FreeRADIUS", freeradius))
