"""One endpoint as it was judged for one request."""

from typing import NamedTuple


class Candidate(NamedTuple):
    """What one endpoint would do for one request. Times in nanoseconds.

    A tuple, because every decision makes one for each endpoint it judges and a frozen dataclass
    costs three times as much to make.
    """

    endpoint: str
    site: str
    home: bool
    ttft_ns: int  # network + queue + adapter + prefill, at the class's confidence
    network_ns: int
    queue_ns: int
    prefill_ns: int  # of the uncached part
    itl_ns: int  # between tokens, with this request beside the others
    cached_tokens: int
    uncached_tokens: int
    price_usd: float  # marginal cost of this request on metered capacity
    meets_objective: bool
    score_ns: int  # what the choice minimises: time, and the work put on those behind
    doubt_ns: int  # by how much the age of the load report may have the queue wrong
    report_age_ns: int | None  # None: no load report yet
    excluded: str = ""  # why it could not be chosen; empty where it could
    expected_ns: int = 0  # until the first token, in the middle of what may happen
    flows: bool = True  # the gaps between tokens are within the objective
    burden_ns: int = 0  # by how much its prefill holds up the streams that are there, in all
    sunk: bool = False  # its time is paid for, used or not
    adapter_ns: int = 0  # until the engine can use the request's adapter: part of ttft_ns
    load_ns: int = 0  # of that, to load it
