"""What an endpoint tells of leases, as the core sees it."""

from typing import Final

import grpc

from router.live.attempt import end_of
from router.policy.lease import LeaseAccount, Stage
from router.policy.outcome import End
from router.policy.units import NS_PER_HOUR
from wire.spillway.v1 import load_pb2 as pb

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_STAGES: Final = {
    pb.LeaseAccount.STARTED: Stage.STARTED,
    pb.LeaseAccount.FIRST_TOKEN: Stage.FIRST_TOKEN,
    pb.LeaseAccount.ENDED: Stage.ENDED,
}

_TIME_MAX_NS: Final = 24 * NS_PER_HOUR
"""Of anything that an endpoint tells: longer than any deadline."""

_EGRESS_BYTES_MAX: Final = 1 << 30
"""Of one answer: they cost money, and no site's word may spend what a tenant has for a month."""


def accounts_of(report: pb.LoadReport, router: str) -> tuple[LeaseAccount, ...]:
    """The accounts of leases that this router gave; others' are not its to hear."""
    return tuple(
        LeaseAccount(
            lease=one.lease_id,
            use=one.use,
            stage=_STAGES[one.stage],
            age_ns=min(one.age_ns, _TIME_MAX_NS),
            ttft_ns=min(one.ttft_ns, _TIME_MAX_NS),
            decode_ns=min(one.decode_ns, _TIME_MAX_NS),
            end=_end(one),
            output_tokens=one.output_tokens,
            messages=one.messages,
            egress_bytes=min(one.egress_bytes, _EGRESS_BYTES_MAX),
        )
        for one in report.accounts
        if one.issuer == router and one.stage in _STAGES
    )


def _end(account: pb.LeaseAccount) -> End:
    code = _CODES.get(account.status, grpc.StatusCode.UNKNOWN)
    if code is grpc.StatusCode.OK:
        return End.OK if account.finished else End.FAILED
    if code is grpc.StatusCode.CANCELLED:
        return End.CANCELLED
    return end_of(code)
