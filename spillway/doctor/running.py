"""Runs checks side by side, each within a time of its own, whatever becomes of the others."""

import threading
import time
from collections.abc import Iterable, Iterator

from spillway.doctor.finding import Check, Finding, warning

CHECK_S = 20.0  # for one check; the slowest asks every site, side by side


def run(checks: Iterable[tuple[str, Check]], check_s: float = CHECK_S) -> Iterator[Finding]:
    """What each check finds, in their order.

    One that fails or hangs is a finding of its own, beside what it had found by then.
    """
    give_up_s = time.monotonic() + check_s
    running = [_Running(name, check) for name, check in checks]
    for one in running:
        yield from one.findings(give_up_s, check_s)


class _Running:
    """A check in a thread, which does not keep the process from ending."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=f"check {name}", daemon=True)
        self._thread.start()

    def findings(self, give_up_s: float, check_s: float) -> list[Finding]:
        self._thread.join(max(0.0, give_up_s - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            late = f"the check did not end within {check_s:.0f} s"
            found.append(warning(self._name, late, "look at what it asks by hand"))
        return found

    def _run(self) -> None:
        try:
            for finding in self._check():
                self._found.append(finding)
        except Exception as error:  # noqa: BLE001 - one check that fails must not end the others
            said = f"the check failed: {type(error).__name__}: {error}"
            do = "this is a defect of spillway doctor, and says nothing of the fleet"
            self._found.append(warning(self._name, said, do))
