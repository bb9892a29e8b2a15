"""What people ask a router, whichever face the question comes through."""

from collections.abc import Sequence

from router.live.callers import Callers
from router.live.cookies import Cookies
from router.live.fleet_state import decision_message
from router.live.fleet_view import without_prices
from router.live.incoming import read_incoming
from router.live.loan_desk import LoanDesk
from router.live.timed_core import TimedCore, now_ns
from router.policy.caller import Caller
from router.policy.units import ns
from wire.spillway.v1 import fleet_pb2 as pb
from wire.vllm.inference_pb2 import GenerateRequest


class FleetDesk:
    """Explains decisions; `loans` tells what is lent."""

    def __init__(
        self,
        router: str,
        core: TimedCore,
        callers: Callers,
        cookies: Cookies,
        loans: LoanDesk,
        default_deadline_s: float,
    ) -> None:
        self._router = router
        self._core = core
        self._callers = callers
        self._cookies = cookies
        self.loans = loans
        self._default_deadline_ns = ns(default_deadline_s)

    def explain(
        self,
        request: GenerateRequest,
        metadata: Sequence[tuple[str, str | bytes]],
        caller: Caller,
    ) -> pb.Decision:
        """The decision that this caller's request would get now; nothing is sent or changed.

        Raises CallError for a request or metadata that a stream would be refused for.
        """
        deadline_ns = now_ns() + self._default_deadline_ns
        raw = request.SerializeToString()
        incoming = read_incoming(
            raw,
            metadata,
            "explain",
            deadline_ns,
            router=self._router,
            caller=caller,
            tenants=self._callers.tenants,
        )
        asked = self._cookies.join(incoming, metadata).request
        decision = self._core.explain(asked)
        if not caller.sees_all:
            decision = without_prices(decision)
        return decision_message(decision, asked)
