"""The retry budget."""

from router.policy.retry_budget import RetryBudget


def test_a_quiet_router_may_retry_a_few_times():
    """The stock is there before any request."""
    budget = RetryBudget(0.2, 3)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_under_constant_failure_retries_are_a_fifth_of_the_load():
    """However many requests fail, the load grows by the ratio and no more."""
    budget = RetryBudget(0.2, 10)
    retries = 0
    for _ in range(1000):
        budget.on_request()
        retries += budget.take()
    assert retries <= 10 + 200
