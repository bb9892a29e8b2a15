"""A poison prompt through the core: what it takes with it, and what becomes of its neighbours."""

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.quarantine import UNCLEAR_MAX_NS
from router.policy.request import Request
from router.policy.units import NS_PER_S
from tests.router.policy.toy import fleet

ENGINES = tuple(f"home-{number}" for number in range(6))


class Fleet:
    """Home with six engines. One dies as soon as a request with the prompt `poison` is there."""

    def __init__(self, rng) -> None:
        self.core = RouterCore(fleet())
        self.rng = rng
        self.now = NS_PER_S
        self.at: dict[str, Send] = {}
        self.waiting: set[str] = set()
        self.refused: dict[str, Refuse] = {}
        self.prompt: dict[str, str] = {}
        self.alive = set(ENGINES)
        for name in ENGINES:
            self.core.on_endpoint_up(Endpoint(name, "home", "m"), 0)
            self.core.on_load(LoadReport(name, f"{name}-first", 1, running_max=8), self.now)

    def ask(self, name: str, prompt: str, **request) -> None:
        """A request comes."""
        self.prompt[name] = prompt
        asked = Request(name, "m", prompt_tokens=10, fingerprint=prompt, **request)
        self._follow(name, self.core.on_request(asked, self.now, self.rng))

    def crash(self, endpoint: str, *, gone: bool = True) -> list[str]:
        """An engine dies, and what was on it ends; who was on it."""
        self.now += NS_PER_S // 10
        self.alive.discard(endpoint)
        self.core.on_connection(endpoint, False, self.now)
        lost = [name for name, send in self.at.items() if send.endpoint == endpoint]
        for name in lost:
            del self.at[name]
            ended = Ended(name, endpoint, End.UNREACHABLE)
            answer = self.core.on_outcome(ended, self.now, self.rng)
            if answer is not None:
                self._follow(name, answer)
        if gone:
            self.core.on_endpoint_gone(endpoint, self.now)
            self.release()
        return lost

    def finish(self, name: str) -> None:
        """A request ends well."""
        endpoint = self.at.pop(name).endpoint
        self.core.on_outcome(FirstToken(name, endpoint, 1000), self.now, self.rng)
        self.core.on_outcome(Ended(name, endpoint, End.OK, 5, 5), self.now, self.rng)
        self.release()

    def release(self) -> None:
        """Perform what the core says of those who wait."""
        for answer in self.core.release(self.now, self.rng):
            self._follow(answer.request, answer)

    def _follow(self, name: str, answer) -> None:
        self.waiting.discard(name)
        if isinstance(answer, Wait):
            self.waiting.add(name)
        elif isinstance(answer, Refuse):
            self.refused[name] = answer
        else:
            self.at[name] = answer


def test_a_poison_takes_two_engines_and_no_more(rng):
    """The second time it was there with others, who were not at the first."""
    home = Fleet(rng)
    home.ask("p", "poison")
    home.crash(home.at["p"].endpoint)
    second = home.at["p"].endpoint
    home.ask("a", "innocent")
    home.crash(second)
    assert home.refused["p"].rule is Rule.QUARANTINED
    assert len(home.alive) == len(ENGINES) - 2
    home.ask("p2", "poison")
    assert home.refused["p2"].rule is Rule.QUARANTINED
    (kept,) = home.core.snapshot(home.now).quarantined
    assert kept.fingerprint == "poison"
    assert kept.refused == 2
    assert kept.endpoints[1] == second


def _crowd(rng) -> Fleet:
    """A poison and four neighbours that were with it at two crashes."""
    home = Fleet(rng)
    home.ask("p", "poison")
    first = home.at["p"].endpoint
    for name in ENGINES:
        if name != first:
            home.core.on_connection(name, False, home.now)
    for name in "abcd":
        home.ask(name, name)
    second = next(name for name in ENGINES if name != first)
    home.core.on_connection(second, True, home.now)
    home.crash(first)
    for name in ENGINES:
        if name not in (first, second):
            home.core.on_connection(name, True, home.now)
    assert {send.endpoint for send in home.at.values()} == {second}
    home.crash(second, gone=False)
    return home


def test_the_poisons_neighbours_go_on_alone_and_end_well(rng):
    """Each at an engine of its own; a third crash tells which of them it is."""
    home = _crowd(rng)
    assert home.waiting == {"p", "a", "b", "c", "d"}, "it is not known yet what the loss was"
    home.core.on_endpoint_gone(next(iter(home.core._suspicion.quarantine._open)), home.now)
    home.release()
    assert len({send.endpoint for send in home.at.values()}) == len(home.at) == 4
    assert len(home.waiting) == 1
    if "p" in home.at:
        home.crash(home.at["p"].endpoint)
        assert home.refused["p"].rule in {Rule.QUARANTINED, Rule.NO_RETRY}
    for name in "abcd":
        if name in home.at:
            home.finish(name)
    home.now += NS_PER_S
    home.release()
    for name in list(home.at):
        if name != "p":
            home.finish(name)
    home.ask("again", "poison")
    assert not {"a", "b", "c", "d"} & set(home.refused)
    assert not {"a", "b", "c", "d"} & home.waiting


def test_a_link_that_was_cut_twice_makes_nobody_a_suspect_for_long(rng):
    """Back with the same instances, the requests go on."""
    home = Fleet(rng)
    home.ask("p", "long prompt")
    for _ in range(2):
        lost = home.at["p"].endpoint
        home.crash(lost, gone=False)
    assert home.waiting == {"p"}
    for sequence, name in enumerate(set(ENGINES) - home.alive, 2):
        home.core.on_connection(name, True, home.now)
        home.now += NS_PER_S
        home.core.on_load(LoadReport(name, f"{name}-first", sequence, running_max=8), home.now)
        home.release()
    assert "p" in home.at
    assert not home.refused


def test_an_engine_that_refuses_connections_and_stays_away_has_crashed(rng):
    """No list and no report says so: after a while it is taken for granted."""
    home = Fleet(rng)
    home.ask("p", "poison")
    home.crash(home.at["p"].endpoint, gone=False)
    home.crash(home.at["p"].endpoint, gone=False)
    assert home.waiting == {"p"}
    home.now += UNCLEAR_MAX_NS
    home.core.on_tick(home.now)
    home.release()
    assert home.refused["p"].rule is Rule.QUARANTINED


def test_one_that_waits_may_go_or_run_out_of_time(rng):
    """Nothing of it remains."""
    home = Fleet(rng)
    home.ask("p", "poison", deadline_ns=home.now + NS_PER_S)
    home.ask("q", "poison")
    for name in ("p", "q"):
        while name in home.at:
            home.crash(home.at[name].endpoint, gone=False)
    assert home.waiting == {"p", "q"}
    home.core.on_withdrawn("q", home.now)
    home.now += NS_PER_S
    home.release()
    assert home.refused["p"].rule is Rule.DEADLINE
    assert home.core.release_ns is None


def test_an_operator_lets_a_prompt_in_again(rng):
    """It starts with a clean slate."""
    home = Fleet(rng)
    home.ask("p", "poison")
    home.crash(home.at["p"].endpoint)
    home.crash(home.at["p"].endpoint)
    explained = home.core.explain(Request("x", "m", fingerprint="poison"), home.now, rng)
    assert explained.rule is Rule.QUARANTINED
    home.core.on_quarantine_released("poison", home.now)
    home.ask("p2", "poison")
    assert "p2" in home.at


def test_a_router_below_judges_a_poison_itself_whatever_attempts_are_left(rng):
    """Sent back for want of attempts, it would crash engines at the next site as well."""
    trial = Fleet(rng)
    trial.ask("r", "poison", attempts_max=2)
    for _ in range(2):
        assert trial.crash(trial.at["r"].endpoint) == ["r"]
    assert trial.refused["r"].rule is Rule.QUARANTINED
    assert len(trial.alive) == len(ENGINES) - 2
