"""Request traces from files, streamed: a trace of ten million rows costs no more than one row.

Three formats, each plain or gzipped:

- Azure LLM inference: CSV with TIMESTAMP, ContextTokens, GeneratedTokens.
- Mooncake: JSON lines with timestamp (ms), input_length, output_length, hash_ids of 512-token
  blocks. Its timestamps are quantised to 3 s, so they are jittered within that by default.
- Ours: JSON lines with at_s, session, prompt_tokens, output_tokens and, where known, think_s, slo,
  tenant, block_tokens, blocks. Rows of one session are consecutive turns; rows are in the order of
  at_s of each session's first.
"""

import contextlib
import csv
import gzip
import itertools
import json
import math
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.workloads.plan import Session, Turn

MOONCAKE_BLOCK_TOKENS = 512
MOONCAKE_QUANTUM_S = 3.0


class TraceError(ValueError):
    """A trace that cannot be read; the message names file and line."""


def read_trace(path: Path, *, rng: random.Random | None) -> Iterator[Session]:
    """The sessions of a trace file, its format told from its first line.

    `rng` jitters the timestamps of the Mooncake format; without one they stay as quantised as they
    are. Raises TraceError.
    """
    with _lines(path) as lines:
        first = next(lines, "")
    reader = _reader_for(path, first)
    return reader(path, rng)


def scaled(sessions: Iterable[Session], speed: float) -> Iterator[Session]:
    """The same sessions arriving `speed` times as fast; think times are left as they are."""
    for session in sessions:
        yield replace(session, at_s=session.at_s / speed)


def cut(
    sessions: Iterable[Session], prompt_tokens_max: int | None, output_tokens_max: int | None
) -> Iterator[Session]:
    """The same sessions with longer prompts and answers cut to these lengths; None cuts nothing."""
    for session in sessions:
        turns = tuple(
            replace(
                turn,
                prompt_tokens=min(turn.prompt_tokens, prompt_tokens_max or turn.prompt_tokens),
                output_tokens=min(turn.output_tokens, output_tokens_max or turn.output_tokens),
            )
            for turn in session.turns
        )
        yield replace(session, turns=turns)


def write_trace(sessions: Iterable[Session], path: Path) -> int:
    """Write sessions in our own format; returns the number of rows."""
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for session in sessions:
            for turn in session.turns:
                row: dict[str, Any] = {
                    "at_s": session.at_s,
                    "session": session.id,
                    "prompt_tokens": turn.prompt_tokens,
                    "output_tokens": turn.output_tokens,
                    "think_s": turn.think_s,
                    "slo": session.slo,
                    "tenant": session.tenant,
                    "block_tokens": session.block_tokens,
                    "blocks": list(turn.blocks),
                }
                file.write(json.dumps(row) + "\n")
                rows += 1
    return rows


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    """The lines of a plain or gzipped text file; whatever cannot be read is a TraceError."""
    with contextlib.ExitStack() as stack:
        try:
            with path.open("rb") as raw:
                zipped = raw.read(2) == b"\x1f\x8b"
            opened = gzip.open if zipped else open
            file = stack.enter_context(opened(path, "rt", encoding="utf-8"))
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}") from error

        def lines() -> Iterator[str]:
            try:
                yield from file
            except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
                raise TraceError(f"{path}: not a plain or gzipped text file: {error}") from error

        yield lines()


def _reader_for(
    path: Path, first: str
) -> Callable[[Path, random.Random | None], Iterator[Session]]:
    if first.startswith("TIMESTAMP,"):
        return _azure
    try:
        row = json.loads(first)
    except ValueError:
        row = None
    if isinstance(row, dict) and "hash_ids" in row:
        return _mooncake
    if isinstance(row, dict) and "at_s" in row:
        return _ours
    raise TraceError(
        f"{path}:1: not a trace: expected the header TIMESTAMP,ContextTokens,GeneratedTokens, or "
        f"JSON lines with hash_ids (Mooncake) or at_s (ours)"
    )


def _azure(path: Path, _rng: random.Random | None) -> Iterator[Session]:
    with _lines(path) as lines:
        rows = csv.DictReader(lines)
        start: datetime | None = None
        for index in itertools.count():
            with _located(path, index + 2):
                row = next(rows, None)
                if row is None:
                    return
                at = datetime.fromisoformat(row["TIMESTAMP"][:26])
                start = start or at
                turn = Turn(_tokens(row["ContextTokens"]), _tokens(row["GeneratedTokens"]))
                at_s = (at - start).total_seconds()
            yield Session(id=f"azure-{index}", at_s=at_s, turns=(turn,))


def _mooncake(path: Path, rng: random.Random | None) -> Iterator[Session]:
    """Rows of one quantum are jittered and sorted together, so that order in time is kept."""
    with _lines(path) as lines:
        rows = _json_rows(path, lines, _mooncake_session)
        if rng is None:
            yield from rows
            return
        for _at_s, group in itertools.groupby(rows, key=lambda session: session.at_s):
            sessions = list(group)
            offsets = sorted(rng.uniform(0, MOONCAKE_QUANTUM_S) for _ in sessions)
            for session, offset in zip(sessions, offsets, strict=True):
                yield Session(id=session.id, at_s=session.at_s + offset, turns=session.turns)


def _mooncake_session(index: int, row: dict[str, Any]) -> Session:
    turn = Turn(
        prompt_tokens=_tokens(row["input_length"]),
        output_tokens=_tokens(row["output_length"]),
        blocks=tuple(int(block) for block in row["hash_ids"]),
    )
    return Session(
        id=f"mooncake-{index}",
        at_s=float(row["timestamp"]) / 1000,
        turns=(turn,),
        block_tokens=MOONCAKE_BLOCK_TOKENS,
    )


def _ours(path: Path, _rng: random.Random | None) -> Iterator[Session]:
    with _lines(path) as lines:
        rows = _json_rows(path, lines, _own_turn)
        for id_, group in itertools.groupby(rows, key=lambda row: row.id):
            turns = list(group)
            first = turns[0]
            yield Session(
                id=id_,
                at_s=first.at_s,
                turns=tuple(turn for row in turns for turn in row.turns),
                block_tokens=first.block_tokens,
                slo=first.slo,
                tenant=first.tenant,
            )


def _own_turn(index: int, row: dict[str, Any]) -> Session:
    turn = Turn(
        prompt_tokens=_tokens(row["prompt_tokens"]),
        output_tokens=_tokens(row["output_tokens"]),
        think_s=_offset(row.get("think_s", 0.0)),
        blocks=tuple(int(block) for block in row.get("blocks", ())),
    )
    return Session(
        id=str(row.get("session", f"row-{index}")),
        at_s=_offset(row["at_s"]),
        turns=(turn,),
        block_tokens=_tokens(row.get("block_tokens", MOONCAKE_BLOCK_TOKENS)),
        slo=str(row.get("slo", "")),
        tenant=str(row.get("tenant", "")),
    )


def _json_rows(
    path: Path, lines: Iterator[str], parse: Callable[[int, dict[str, Any]], Session]
) -> Iterator[Session]:
    for index, line in enumerate(lines):
        if line.strip():
            with _located(path, index + 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise TypeError("expected a JSON object")
                session = parse(index, row)
            yield session


def _tokens(value: Any) -> int:
    tokens = int(value)
    if tokens < 0:
        raise ValueError(f"a number of tokens is at least 0, not {tokens}")
    return max(1, tokens)


def _offset(value: Any) -> float:
    offset_s = float(value)
    if not (math.isfinite(offset_s) and offset_s >= 0):
        raise ValueError(f"an offset in seconds is at least 0, not {value}")
    return offset_s


class _located:  # noqa: N801 - reads as a statement
    """Turns what goes wrong inside into a TraceError that names file and line."""

    def __init__(self, path: Path, line: int) -> None:
        self._path, self._line = path, line

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: object
    ) -> None:
        if isinstance(error, KeyError):
            raise TraceError(f"{self._path}:{self._line}: no field {error}") from error
        if isinstance(error, (ValueError, TypeError, AttributeError, csv.Error)):
            raise TraceError(f"{self._path}:{self._line}: {error}") from error
