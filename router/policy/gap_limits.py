"""The limits on streams of one endpoint, one for each objective that its requests have."""

from router.policy.gap_limit import ALONE, GapLimit


class GapLimits(dict[int, GapLimit]):
    """By objective for the gaps in nanoseconds; a limit is made by the first subscript.

    `found` is shared by the endpoints of one model at one site, which are much alike: the limit
    that was last found, or grown, at any of them, by objective. Where none is known yet, that is
    believed.
    """

    def __init__(self, prior_share: float, found: dict[int, float]) -> None:
        super().__init__()
        self.prior_share = prior_share
        self._found = found

    def __missing__(self, objective_ns: int) -> GapLimit:
        """A limit of which nothing is known at this endpoint."""
        limit = self[objective_ns] = GapLimit(objective_ns, self.prior_share, self._found)
        return limit

    def flows(
        self, objective_ns: int, beside: float, gap_ns: float, alone_ns: float, cold_share: float
    ) -> bool:
        """What GapLimit.flows says under this objective; or what a new limit would.

        Makes no limit: endpoints are judged that never get such a request.
        """
        limit = self.get(objective_ns)
        if limit is None:
            return gap_ns <= max(self.prior_share * objective_ns, ALONE * alone_ns)
        return limit.flows(beside, gap_ns, alone_ns, cold_share)

    def hear(self, streams: int, gap_ns_p95: int) -> None:
        """Observe a report: how many streams run, and the p95 of their gaps of late."""
        for limit in self.values():
            limit.hear(streams, gap_ns_p95)
