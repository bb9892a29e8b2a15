"""How busy the fleet may be: the load at which requests begin to miss their objectives.

Demand comes in bursts, so that some requests find no room before replicas are busy all the time,
and the fewer replicas there are the sooner. Of each stretch of time it is known how busy the fleet
was and how many requests missed: were refused, or answered late. Where more did than the objectives
allow, the limit goes to below that load; while stretches close below it are good, it grows slowly.
So about as many miss as may, and no replica is paid for to keep more.
"""

_PRIOR = 0.75
_MIN, _MAX = 0.4, 1.3  # what a replica does is an estimate: a limit above 1 says it is too low
_BELOW = 0.95  # of the load at which too many missed
_STEP_MAX = 0.94  # of the limit, that one stretch may take it down to: it may have been a burst
_CLOSE = 0.85  # of the limit
_GROWTH = 0.004  # for each good stretch that was close


class Headroom:
    """Learns the limit from stretches of time."""

    __slots__ = ("is_pressed", "limit")

    def __init__(self) -> None:
        self.limit = _PRIOR
        self.is_pressed = False  # whether too many requests found no room in the last stretch

    def add(
        self, load: float, missed: float, pressed: float, allowed: float, *, full: bool
    ) -> None:
        """Observe a stretch: how busy the fleet was, and which shares missed and were pressed.

        `allowed` is the share that may miss; `full` tells that all wanted replicas served: what is
        missed for want of them says nothing about the limit.
        """
        self.is_pressed = pressed > allowed
        if not full:
            return
        if missed > allowed:
            edge = max(_BELOW * load, _STEP_MAX * self.limit)
            self.limit = max(_MIN, min(self.limit, edge))
        elif load >= _CLOSE * self.limit:
            self.limit = min(_MAX, self.limit * (1.0 + _GROWTH))
