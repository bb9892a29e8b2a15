"""One sink that tells several, each of them whatever becomes of the others."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from router.observe.event import Event, Sink

TOLD_EACH_S: Final = 60.0
"""Between two lines of the log: who fails of one event fails of the next."""

_log = logging.getLogger(__name__)


class Fork:
    """Tells its sinks in their order.

    What one of them fails of is no reason for the next not to hear of a charge, nor for the stream
    that it happened to, to fail: it is counted, and told in the log at most once a minute.
    """

    def __init__(self, sinks: Sequence[Sink | None]) -> None:
        """None stands for one that there is not."""
        self._sinks = tuple(sink for sink in sinks if sink is not None)
        self.failed = 0  # events, once for each sink that failed of one
        self._told_s = float("-inf")

    def on_event(self, event: Event) -> None:
        """See Sink."""
        for sink in self._sinks:
            try:
                sink.on_event(event)
            except Exception:  # noqa: BLE001 - whatever a sink raises
                self._tell(type(sink).__name__, type(event.happening).__name__)

    def _tell(self, sink: str, happening: str) -> None:
        self.failed += 1
        now_s = time.monotonic()
        if now_s - self._told_s >= TOLD_EACH_S:
            self._told_s = now_s
            _log.exception("%s failed of %s; %d failures in all", sink, happening, self.failed)
