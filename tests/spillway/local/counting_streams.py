"""Clients that read counted answers, each to be the right one to the last token."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving.counting import count_on
from spillway.client import OverloadedError, SyncClient
from tests.waiting import DEADLINE_S, wait_until

PROMPT = "7"


def counted(tokens: int) -> str:
    """The right answer of so many tokens."""
    spoken = count_on(PROMPT.encode())
    return bytes(next(spoken) for _ in range(tokens)).decode()


@dataclass
class Streams:
    """Clients that ask for one counted answer after the other, and wait where there is no room."""

    address: str
    readers: int
    tokens: int
    complete: int = 0
    resumed: int = 0
    refused: int = 0  # for want of room, before anything was answered
    wrong: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, number: int) -> None:
        """Reads answers until told to stop; each has to be the right one, to the last token."""
        right = counted(self.tokens)
        with SyncClient(self.address) as client:
            while not self.stop.is_set():
                try:
                    answer = client.generate(
                        PROMPT, session=f"s{number}", max_new_tokens=self.tokens
                    )
                except OverloadedError as error:  # nothing had begun, and it says when to come back
                    self.refused += 1
                    self.stop.wait(error.retry_after_s or 1.0)
                    continue
                except Exception as error:  # noqa: BLE001 - whatever it is, a stream noticed
                    self.wrong.append(repr(error))
                    return
                if answer.text != right:
                    self.wrong.append(answer.text)
                self.complete += 1
                self.resumed += answer.ending.attempts > 1

    def wait_for_more(self) -> None:
        """Until each client has had two more answers."""
        count = self.complete + 2 * self.readers
        wait_until(lambda: self.complete >= count or self.wrong)


@contextmanager
def streams(address: str, readers: int, tokens: int) -> Iterator[Streams]:
    """Streams throughout; at their end none may have noticed anything."""
    made = Streams(address, readers, tokens)
    threads = [threading.Thread(target=made.read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    try:
        made.wait_for_more()
        yield made
        made.wait_for_more()
    finally:
        made.stop.set()
        for thread in threads:
            thread.join()
    assert not made.wrong, made.wrong[:3]


@dataclass
class LongStream:
    """One answer that is longer than a test, read until told to stop."""

    address: str
    tokens: int
    text: str = ""
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, number: int) -> None:
        """Reads it."""
        try:
            with (
                SyncClient(self.address) as client,
                client.stream(
                    PROMPT, session=f"long{number}", max_new_tokens=self.tokens
                ) as stream,
            ):
                for chunk in stream:
                    self.text += chunk.text
                    if self.stop.is_set():
                        return
            self.error = "it ended"
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream broke
            self.error = repr(error)


@contextmanager
def long_streams(address: str, count: int, tokens: int = 20_000) -> Iterator[list[LongStream]]:
    """Answers that go on throughout; at their end none may have broken, or be wrong."""
    made = [LongStream(address, tokens) for _ in range(count)]
    threads = [threading.Thread(target=one.read, args=(number,)) for number, one in enumerate(made)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(one.text or one.error for one in made), DEADLINE_S)
        yield made
    finally:
        for one in made:
            one.stop.set()
        for thread in threads:
            thread.join()
    right = counted(tokens)
    errors = [one.error for one in made if one.error]
    assert not errors, errors
    assert all(right.startswith(one.text) for one in made)


def wait_for_tokens(made: list[LongStream], characters: int = 50) -> None:
    """Until each has had more of its answer."""
    had = [len(one.text) for one in made]
    wait_until(
        lambda: all(
            len(one.text) >= before + characters or one.error
            for one, before in zip(made, had, strict=True)
        )
    )
