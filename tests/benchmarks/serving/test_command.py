"""The command says in one sentence why a run cannot be done."""

import contextlib

from benchmarks.serving import __main__ as command
from benchmarks.serving.target import Target


def test_a_trace_that_breaks_off_inside_is_a_sentence_with_file_and_line(
    tmp_path, monkeypatch, capsys
):
    """It is read while sessions run, so the error comes out of their task group."""
    trace = tmp_path / "trace.jsonl"
    trace.write_text(
        '{"at_s": 0, "session": "a", "prompt_tokens": 8, "output_tokens": 8}\n{"at_s": "x"}\n'
    )

    @contextlib.asynccontextmanager
    async def connected(*_arguments, **_options):
        yield Target(channels=())

    monkeypatch.setattr(command, "connected", connected)
    for mode in ("open", "closed"):
        arguments = ["serving", "--trace", str(trace), "--warmup", "0", "--mode", mode]
        monkeypatch.setattr("sys.argv", arguments)
        assert command.main() == command.EXIT_USAGE
        assert f"benchmarks.serving: {trace}:2: " in capsys.readouterr().err
