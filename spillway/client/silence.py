"""How long a stream from an endpoint may be silent before the endpoint is doubted."""

from wire.spillway.v1.fleet_pb2 import Placement

BELIEVED_S = 5.0
"""How long at least a stream may be silent at an endpoint that answers: one that is short of cache
memory sets streams aside, and to come back for each would only add to its trouble."""

ANSWER_S = 0.5
"""What an endpoint that is asked whether it lives may take to answer."""

_PATIENCES = 4  # of an endpoint that answers, but for this stream
_PATIENCES_FIRST = 16  # the same before the first token: it may stand in a queue there
_LONGEST = 2.5
_STEPS = 8
_LOOK_MIN_S = 0.05


class Silence:
    """How long a stream has been silent while it was listened to, against how long it may be.

    At first it may for as long as the router says. An engine that slows down raises the limit by
    silences that end by themselves. Times are seconds of any clock.
    """

    def __init__(self, placement: Placement, now_s: float) -> None:
        self._limit_s = placement.first_token_s
        self._between_s = placement.silence_s
        self._moved_s = now_s
        self._begun_s = 0.0
        self._longest_s = 0.0
        self._count = 0
        self._is_listening = False
        self.is_believed = False
        """Whether the endpoint was asked since the last message, and answers."""

    def listen(self, now_s: float) -> None:
        """From now on a message is waited for."""
        self._is_listening = True
        self._moved_s = max(self._moved_s, now_s)

    def believe(self) -> None:
        """The endpoint was asked whether it lives, and answers."""
        self.is_believed = True

    def moved(self, now_s: float) -> None:
        """A message came."""
        if self._count:
            self._longest_s = max(self._longest_s, now_s - self._moved_s)
            usual_s = (now_s - self._begun_s) / self._count
            self._limit_s = max(self._between_s, _LONGEST * self._longest_s, _STEPS * usual_s)
        else:
            self._begun_s = now_s
            self._limit_s = self._between_s
        self._count += 1
        self._moved_s = now_s
        self._is_listening = self.is_believed = False

    def left_s(self, now_s: float) -> float:
        """What is left until it has been silent for too long; not above 0 where it has."""
        limit_s = self._limit_s
        if self.is_believed:
            times = _PATIENCES if self._count else _PATIENCES_FIRST
            limit_s = max(BELIEVED_S, times * limit_s)
        return limit_s - (now_s - self._moved_s) if self._is_listening else limit_s

    def look_s(self, now_s: float) -> float:
        """When to look again: the first message may leave less than is left before it."""
        return min(self.left_s(now_s), max(_LOOK_MIN_S, self._between_s))
