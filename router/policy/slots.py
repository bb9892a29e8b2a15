"""How long a request waits until one of an engine's slots is free.

An engine runs a fixed number of requests at once. With all slots taken and k - 1 requests waiting,
a new request starts when the k-th of the running ones ends. If their ages are spread evenly over
the time a request holds its slot, `hold`, one ends every `hold / slots`. In a burst they are not:
requests that started together end together, a whole `hold` later. The ages of the oldest and the
newest running request tell the two apart.

What others have at an engine is an estimate with a fraction. A request waits where it is more
likely than not that no slot is free: a twentieth of somebody's request must not make a wait of the
last free slot.
"""

LIKELY_TAKEN = 0.5  # a request waits where `streams + LIKELY_TAKEN > slots`


def slot_wait_ns(
    place: float, slots: int, hold_ns: float, oldest_age_ns: float, newest_age_ns: float
) -> float:
    """Time until the `place`-th slot from now is free; `place` counts from 1.

    `hold_ns` is how long a request holds its slot; the ages are those of the running requests.
    A request that holds its slot for longer than expected is expected to go on for a little.
    """
    step_ns = hold_ns / slots
    first_ns = max(step_ns / 2, hold_ns - oldest_age_ns)
    last_ns = max(first_ns, hold_ns - newest_age_ns)
    if place <= slots:
        share = (place - 1.0) / (slots - 1.0) if slots > 1 else 0.0
        return first_ns + max(0.0, share) * (last_ns - first_ns)
    return last_ns + (place - slots) * step_ns
