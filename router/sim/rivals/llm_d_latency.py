"""llm-d's predicted-latency profile: the endpoint that just meets the objectives."""

import random
from dataclasses import dataclass, field

from router.policy.fleet import Fleet
from router.policy.least_squares import LeastSquares
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.rivals.cache_index import CacheIndex
from router.sim.rivals.pending_tokens import PendingTokens
from router.sim.rivals.rival import Rival

_TTFT_WEIGHT, _TPOT_WEIGHT = 0.8, 0.2
_UNIT_NS = 100 * NS_PER_MS


def _ttft_model() -> LeastSquares:
    return LeastSquares((0.3, 0.5, 0.5, 0.1), deviation=(1.0, 2.0, 2.0, 1.0))


def _tpot_model() -> LeastSquares:
    return LeastSquares((0.2, 0.1), deviation=(1.0, 1.0))


@dataclass(slots=True)
class _Model:
    """What was learned of one endpoint: its TTFT and its time for each output token."""

    ttft: LeastSquares = field(default_factory=_ttft_model)
    tpot: LeastSquares = field(default_factory=_tpot_model)


@dataclass(frozen=True, slots=True)
class _Features:
    """What a request found at its endpoint."""

    uncached: float  # thousands of tokens
    queued: float  # thousands of tokens to be prefilled before it
    waiting: float  # requests in the endpoint's queue, by its report
    running: float  # tens of requests in flight

    @property
    def of_ttft(self) -> tuple[float, ...]:
        return (1.0, self.uncached, self.queued, self.waiting)

    @property
    def of_tpot(self) -> tuple[float, ...]:
        return (1.0, self.running)


class LlmDLatency(Rival):
    """The least positive headroom first: 0.8 of it in TTFT, 0.2 in time per output token.

    Headroom is objective less prediction, as a share of the objective. Where no endpoint has
    positive headroom in both, the least deficit is taken. Predictions are learned online for each
    endpoint from uncached tokens, queues and load; llm-d's sidecar learns boosted trees from the
    same features, scraped every 50 ms.

    Source: llm-d-inference-scheduler, predicted-latency profile (`HeadroomStrategy` least).
    """

    report_interval_ns = 50 * NS_PER_MS

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet
        self._cache = CacheIndex()
        self._queue = PendingTokens()
        self._reports: dict[str, LoadReport] = {}
        self._models: dict[str, _Model] = {}
        self._sent: dict[str, tuple[_Features, int]] = {}  # with the TTFT, once it is known

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = now, rng
        slo = self._fleet.slo(request.slo)
        objective_ns = slo.ttft_objective_ns(request.prompt_tokens)
        fits: dict[str, float] = {}
        lacks: dict[str, float] = {}
        for name in usable:
            features, model = self._features(request, name), self._model(name)
            ttft_ns = model.ttft.predict(features.of_ttft) * _UNIT_NS
            tpot_ns = model.tpot.predict(features.of_tpot) * _UNIT_NS
            ttft, tpot = 1.0 - ttft_ns / objective_ns, 1.0 - tpot_ns / slo.itl_ns
            if ttft > 0.0 and tpot > 0.0:
                fits[name] = _TTFT_WEIGHT * ttft + _TPOT_WEIGHT * tpot
            else:
                lacks[name] = _TTFT_WEIGHT * max(0.0, -ttft) + _TPOT_WEIGHT * max(0.0, -tpot)
        return min(fits or lacks, key=(fits or lacks).__getitem__)

    def on_load(self, report: LoadReport, now: int) -> None:
        """The metrics of one endpoint."""
        self._reports[report.endpoint] = report
        self._cache.on_load(report, now)

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """Note what it found, to learn from later."""
        features = self._features(request, endpoint)
        self._sent[request.id] = features, 0
        self._queue.on_send(request.id, endpoint, round(features.uncached * 1000))
        self._cache.on_send(endpoint, request, now)

    def saw_first_token(self, request: Request, outcome: FirstToken, now: int) -> None:
        """Learn a TTFT."""
        _ = now
        features, _ttft_ns = self._sent[request.id]
        self._sent[request.id] = features, outcome.ttft_ns
        self._queue.on_started(request.id)
        _learn(self._model(outcome.endpoint).ttft, features.of_ttft, outcome.ttft_ns)

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """Learn a time per output token."""
        _ = now
        features, ttft_ns = self._sent.pop(request.id)
        self._queue.on_started(request.id)
        if outcome.end is End.OK and outcome.output_tokens > 1:
            each_ns = (outcome.duration_ns - ttft_ns) / (outcome.output_tokens - 1)
            _learn(self._model(outcome.endpoint).tpot, features.of_tpot, each_ns)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._cache.forget(endpoint)

    def _features(self, request: Request, endpoint: str) -> _Features:
        report = self._reports.get(endpoint)
        uncached = request.prompt_tokens - self._cache.cached_tokens(endpoint, request)
        return _Features(
            uncached / 1000,
            self._queue.tokens(endpoint) / 1000,
            report.waiting if report else 0.0,
            self.in_flight[endpoint] / 10,
        )

    def _model(self, endpoint: str) -> _Model:
        return self._models.setdefault(endpoint, _Model())


def _learn(model: LeastSquares, features: tuple[float, ...], seen_ns: float) -> None:
    """In relative terms, so that a long prompt's error does not outweigh a hundred short ones."""
    scale = 1.0 / max(0.05, model.predict(features))
    model.add(
        [scale * feature for feature in features], scale * min(seen_ns, 60 * NS_PER_S) / _UNIT_NS
    )
    model.coefficients = [max(0.0, coefficient) for coefficient in model.coefficients]
