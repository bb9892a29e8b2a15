"""Operators are told of months that cost much, once."""

from router.live.budget_watch import BudgetWatch
from router.policy.snapshot import BudgetSnapshot


def budget(spent_usd, month=202611, site="", tenant="acme"):
    return BudgetSnapshot(site, tenant, month, spent_usd, 10.0, 8.0)


def said(caplog):
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_each_mark_is_told_once_a_month(caplog):
    """The one to warn of, and the budget itself."""
    watch = BudgetWatch()
    watch.look([budget(8.0)])
    assert said(caplog) == []
    for _ in range(2):
        watch.look([budget(8.5)])
    assert said(caplog) == [
        "tenant acme has cost 8.50 USD in 2026-11, over the 8.00 USD to warn of"
    ]
    for _ in range(2):
        watch.look([budget(10.0), budget(9.0, site="ridge", tenant="")])
    assert said(caplog) == [
        (
            "tenant acme has cost 10.00 USD in 2026-11 of a budget of 10.00 USD: nothing more goes"
            " where it costs, until the month is over"
        ),
        "site ridge has cost 9.00 USD in 2026-11, over the 8.00 USD to warn of",
    ]
    watch.look([budget(9.0, 202612)])
    assert len(said(caplog)) == 1


def test_nothing_is_said_of_a_month_that_nobody_knows(caplog):
    """Where no ledger is kept."""
    BudgetWatch().look([budget(99.0, month=0)])
    assert said(caplog) == []
