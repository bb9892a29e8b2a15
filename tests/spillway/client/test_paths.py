"""Which endpoints are worth a try."""

from spillway.client.paths import AWAY_S, Paths


def test_an_endpoint_that_could_not_be_reached_is_left_for_a_while():
    """And after some in a row nobody is asked where else to go."""
    paths = Paths()
    paths.failed("a", 0.0)
    assert not paths.may_try("a", AWAY_S - 1)
    assert paths.may_try("a", AWAY_S)
    assert paths.may_try("b", 0.0)
    paths.reached("b")
    for _ in range(2):
        paths.missed(0.0)
        assert paths.may_ask(0.0)
    paths.missed(0.0)
    assert not paths.may_ask(AWAY_S - 1)
    assert paths.may_ask(AWAY_S)
