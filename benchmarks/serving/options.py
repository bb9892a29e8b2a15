"""The command line of `python -m benchmarks.serving`, and the plan it asks for."""

import argparse
import itertools
import math
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.workloads import arrivals, traces
from benchmarks.workloads.plan import Session
from benchmarks.workloads.sessions import Shape, sessions
from spillway.client.options import OptionError
from spillway.client.tls import ClientTls


def parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description="Drive a service of vllm.Inference with streaming sessions and measure it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    target = top.add_argument_group("what is driven")
    target.add_argument("--address", default="127.0.0.1:7070", help="host:port of the service")
    target.add_argument(
        "--model", default="", help="model to ask for; empty: the only one there is"
    )
    for name, what in (
        ("ca", "speak TLS with a service whose certificate is of an authority in this file (PEM)"),
        ("cert", "the certificate to show it (PEM)"),
        ("key", "the key of --cert (PEM); an API key is the environment's, SPILLWAY_API_KEY"),
    ):
        environment = os.environ.get(f"SPILLWAY_{name.upper()}")
        target.add_argument(f"--{name}", type=Path, default=environment, help=what)
    target.add_argument("--slo", default="", help="service class to ask for")
    target.add_argument("--connections", type=_count, default=1, help="connections to open")
    target.add_argument("--deadline", type=_positive, default=120.0, help="seconds a turn may take")

    load = top.add_argument_group("when sessions arrive")
    load.add_argument("--mode", choices=("open", "closed"), default="open")
    load.add_argument("--arrivals", choices=("poisson", "gamma", "constant"), default="poisson")
    load.add_argument("--rate", type=_positive, default=1.0, help="sessions per second (open)")
    load.add_argument("--cv", type=_not_negative, default=2.0, help="variation of gamma arrivals")
    load.add_argument("--concurrency", type=_count, default=8, help="sessions at a time (closed)")
    load.add_argument("--duration", type=_positive, default=30.0, help="seconds of arrivals (open)")
    load.add_argument("--sessions", type=_count, default=100, help="sessions in all (closed)")
    load.add_argument("--warmup", type=_not_negative_int, default=4, help="sessions not counted")
    load.add_argument("--seed", type=int, default=0, help="seeds every draw")

    shape = top.add_argument_group("what a session is")
    shape.add_argument("--trace", type=Path, help="Azure, Mooncake or our own format; see docs")
    shape.add_argument("--speed", type=_positive, default=1.0, help="replay the trace this fast")
    shape.add_argument("--prompt-tokens", type=_count, default=64, help="mean, per turn")
    shape.add_argument("--output-tokens", type=_count, default=64, help="mean, per turn")
    shape.add_argument("--prompt-tokens-max", type=_count, help="cut longer prompts of a trace")
    shape.add_argument("--output-tokens-max", type=_count, help="cut longer answers of a trace")
    shape.add_argument("--turns", type=_positive, default=1.0, help="mean turns of a session")
    shape.add_argument(
        "--think", type=_not_negative, default=2.0, help="mean seconds between turns"
    )
    shape.add_argument("--shared-tokens", type=_not_negative_int, default=0, help="common prefix")
    shape.add_argument(
        "--bytes-per-token",
        type=_positive,
        help="text per token for a model of your own; absent: the built-in model, whose answers"
        " are checked",
    )

    result = top.add_argument_group("what comes out")
    result.add_argument("--slo-ttft", type=_positive, default=1.0, help="seconds; for goodput")
    result.add_argument("--slo-itl", type=_positive, default=0.2, help="seconds; for goodput")
    result.add_argument("--out", type=Path, help="write the result as JSON here")
    result.add_argument("--picture", type=Path, help="write TTFT over time as PNG here")
    result.add_argument("--html", type=Path, help="write the report as one HTML file here")
    return top


def tls_of(options: argparse.Namespace) -> ClientTls | None:
    """What the service is spoken to with; None: plaintext. Raises OptionError and TlsError."""
    if options.ca is None:
        if options.cert is not None or options.key is not None:
            raise OptionError("--cert and --key need --ca, whom the service is believed by")
        return None
    return ClientTls(options.ca, options.cert, options.key)


def plan(options: argparse.Namespace) -> Iterator[Session]:
    """The sessions to run, in the order of their offsets. Raises traces.TraceError."""
    rng = random.Random(options.seed)
    if options.trace is not None:
        found = traces.scaled(traces.read_trace(options.trace, rng=rng), options.speed)
        cut = traces.cut(found, options.prompt_tokens_max, options.output_tokens_max)
        if options.mode == "closed":
            return itertools.islice(cut, options.sessions)
        return itertools.takewhile(lambda session: session.at_s < options.duration, cut)
    shape = Shape(
        turns_mean=options.turns,
        think_s_mean=options.think,
        prompt_tokens=options.prompt_tokens,
        output_tokens=options.output_tokens,
        shared_tokens=options.shared_tokens,
    )
    if options.mode == "closed":
        found = sessions(itertools.repeat(0.0), shape, rng=rng, duration_s=math.inf)
        return itertools.islice(found, options.sessions)
    rate = arrivals.constant(options.rate)
    cv = {"poisson": 1.0, "gamma": options.cv, "constant": 0.0}[options.arrivals]
    gaps = arrivals.gamma(rate, cv, rng)
    return sessions(gaps, shape, rng=rng, duration_s=options.duration)


def warmup_plan(options: argparse.Namespace) -> Iterator[Session]:
    """Short sessions that open connections and fill what is filled once; their results are lost."""
    shape = Shape(prompt_tokens=options.prompt_tokens, output_tokens=8)
    rng = random.Random(options.seed ^ 0x5EED)
    found = sessions(itertools.repeat(0.0), shape, rng=rng, duration_s=math.inf, phase="warmup")
    return itertools.islice(found, options.warmup)


def _number(
    kind: Callable[[str], float], least: float, *, open_end: bool
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not math.isfinite(value) or value < least or (open_end and value == least):
            relation = "above" if open_end else "at least"
            raise argparse.ArgumentTypeError(f"expected a number {relation} {least}, not {text}")
        return value

    parse.__name__ = "number"  # argparse names it where `kind` refuses the text
    return parse


_positive = _number(float, 0, open_end=True)
_not_negative = _number(float, 0, open_end=False)
_count = _number(int, 1, open_end=False)
_not_negative_int = _number(int, 0, open_end=False)
