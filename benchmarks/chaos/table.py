"""The failure matrix as a table, and what of its aims does not hold."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.chaos.measure import Result
from benchmarks.report import Table, print_table

COLUMNS = (
    *("fault", "streams", "probes", "resumed", "lost", "repeated", "wrong", "errors"),
    *(
        "pause p50 ms",
        "p99 ms",
        "longest silence s",
        "avoided after s",
        "most failed attempts",
        "left behind",
    ),
)
SHORT_COLUMNS = (
    *("fault", "streams", "resumed", "lost, repeated, wrong", "errors", "pause p50", "pause p99"),
    *("new requests avoid it after", "failed attempts of a request", "left behind"),
)


def show(results: Sequence[Result]) -> Table:
    """Print a row for each fault, and what there is to say beside it."""
    rows = [_row(one) for one in results]
    shown = print_table("What clients saw of each fault", COLUMNS, rows)
    for note in notes(results):
        print(note)
    return shown


def notes(results: Iterable[Result]) -> Iterator[str]:
    """What there is to say beside a row, a line each."""
    for one in results:
        for note in [*one.notes, *one.left]:
            yield f"{one.fault}: {note}"
        if one.errors:
            yield f"{one.fault}: {one.error_detail}"


def markdown(results: Sequence[Result]) -> str:
    """The rows as docs/streams.md has them."""
    lines = ["| " + " | ".join(SHORT_COLUMNS) + " |", "|---" * len(SHORT_COLUMNS) + "|"]
    for one in results:
        pauses = (
            (f"{_ms(one.pause_p50_s)} ms", f"{_ms(one.pause_p99_s)} ms")
            if one.resumed
            else ("", "")
        )
        cells = (
            *(one.fault, f"{one.streams:,}", str(one.resumed)),
            f"{one.lost}, {one.repeated}, {one.wrong}",
            *(_errors(one), *pauses, f"{one.avoided_after_s:.2f} s"),
            *(str(one.failed_attempts_max), str(len(one.left))),
        )
        lines.append("| " + " | ".join(cells) + " |")
    said = [f"- {one.fault}: {note}" for one in results for note in one.notes]
    return "\n".join([*lines, "", *said, ""])


def sentence(one: Result) -> str:
    """A row in a few words, for whoever waits for the table."""
    return (
        f"{one.streams} streams, {one.resumed} resumed with a pause p99 of {one.pause_p99_s:.2f} s,"
        f" {one.lost} tokens lost, {one.repeated} repeated, {one.wrong} wrong,"
        f" errors: {_errors(one)}"
    )


def misses(results: Iterable[Result]) -> Iterator[str]:
    """What was promised and does not hold, a sentence each."""
    for one in results:
        if not one.is_exact:
            yield (
                f"{one.fault}: {one.lost} tokens lost, {one.repeated} repeated, {one.wrong} wrong"
            )
        if one.errors:
            yield f"{one.fault}: {_errors(one)} where a healthy site had room"
        if one.pause_p99_max_s is not None and one.pause_p99_s > one.pause_p99_max_s:
            yield (
                f"{one.fault}: a pause p99 of {one.pause_p99_s:.2f} s,"
                f" above {one.pause_p99_max_s:.1f} s"
            )
        yield from (f"{one.fault}: {sentence}" for sentence in one.broken)
        if one.left:
            yield f"{one.fault}: something was left behind"


def _row(one: Result) -> list[str]:
    return [
        one.fault,
        *(str(n) for n in (one.streams, one.probes, one.resumed)),
        *(str(n) for n in (one.lost, one.repeated, one.wrong)),
        _errors(one),
        *((_ms(one.pause_p50_s), _ms(one.pause_p99_s)) if one.resumed else ("", "")),
        f"{one.silence_max_s:.2f}",
        f"{one.avoided_after_s:.2f}",
        str(one.failed_attempts_max),
        str(len(one.left)),
    ]


def _errors(one: Result) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(one.errors.items())) or "0"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
