"""What ends a batch before its last line."""

from collections.abc import Sequence


class BatchError(Exception):
    """The files are wrong, or the router is: whatever has been answered stays answered."""


class BadRequestsError(BatchError):
    """The file of requests is wrong; nothing has been sent."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(f"the requests are wrong: {'; '.join(problems)}")
        self.problems = problems


class UnreachableError(BatchError):
    """Nobody answers, or everybody is busy, for longer than the batch is patient."""
