"""Charges of which a ledger can be made to hold many."""

from router.ledger.entry import Entry
from router.policy.charge import Charge
from router.policy.outcome import End

DAY_NS = 86_400 * 1_000_000_000
NOON_NS = 20_786 * DAY_NS + DAY_NS // 2
"""Noon of 2026-11-29, in UTC."""


def charge(number, **fields):
    """An attempt of a tenant at a rented site."""
    known = {
        "request": f"r{number}",
        "attempt": 1,
        "kind": "first",
        "tenant": "acme",
        "site": "rented",
        "endpoint": "rented/1",
        "model": "m",
        "hardware": "h100",
        "end": End.OK,
        "prompt_tokens": 10,
        "uncached_tokens": 6,
        "output_tokens": 5,
        "egress_bytes": 100,
        "lasted_ns": 1_000,
        "committed_gpu_s": 1.0,
        "metered_gpu_s": 2.0,
        "committed_usd": 0.25,
        "metered_usd": 0.5,
        "egress_usd": 0.125,
    }
    return Charge(number=number, **{**known, **fields})


def entries(*numbers, at_ns=NOON_NS, **fields):
    """Attempts of these numbers that ended then."""
    return [Entry(charge(number, **fields), at_ns) for number in numbers]
