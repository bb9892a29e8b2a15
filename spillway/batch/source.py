"""The file of requests: looked through before the first is sent, then read line by line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spillway.batch.errors import BadRequestsError, BatchError
from spillway.batch.line import LINE_BYTES_MAX, BadLineError, BatchLine, mark, read_line

LINES_MAX: Final = 1_000_000
"""Sixteen bytes are kept for each, and for each that is done."""

_PROBLEMS_TOLD_MAX: Final = 20


class Source:
    """Requests whose ids differ; what a file holds beyond that is empty lines."""

    def __init__(self, path: Path) -> None:
        """Raises BadRequestsError with the problems of the file, as far as they fit a screen."""
        self._path = path
        self.marks: set[bytes] = set()
        problems = []
        for number, line in self._lines():
            try:
                one = mark(read_line(line).custom_id)
                if one in self.marks:
                    raise BadLineError("its custom_id stands on a line before")  # noqa: TRY301
                self.marks.add(one)
            except BadLineError as error:
                problems.append(f"{path}:{number}: {error}")
            if len(problems) > _PROBLEMS_TOLD_MAX:
                problems[-1] = "and there are more"
                break
            if len(self.marks) > LINES_MAX:
                raise BatchError(f"{path} has more than {LINES_MAX} requests: split it")
        if problems:
            raise BadRequestsError(problems)

    def __len__(self) -> int:
        return len(self.marks)

    def without(self, done: set[bytes]) -> Iterator[BatchLine]:
        """The requests whose marks are not among these, in their order.

        Raises BatchError where they are another batch's, or the file has changed under this one.
        """
        strangers = len(done - self.marks)
        if strangers:
            raise BatchError(
                f"there are answers to {strangers} requests that {self._path} does not have: they"
                " are another batch's"
            )
        for number, line in self._lines():
            try:
                request = read_line(line)
            except BadLineError as error:
                raise BatchError(f"{self._path}:{number} has changed: {error}") from error
            one = mark(request.custom_id)
            if one not in self.marks:
                raise BatchError(f"{self._path}:{number} was added while the batch ran")
            if one not in done:
                yield request

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self._path.open("rb") as lines:
                number = 0
                while line := lines.readline(LINE_BYTES_MAX + 2):
                    number += 1
                    if line.strip():
                        yield number, line
                    if len(line) > LINE_BYTES_MAX:
                        return  # what follows is the rest of a line
        except OSError as error:
            raise BatchError(f"{self._path} cannot be read: {error.strerror}") from error
