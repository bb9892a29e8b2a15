"""A roll-out splits sessions by share, keeps them, and takes back a version that does badly."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Send
from router.policy.endpoint import Endpoint
from router.policy.identity import EngineIdentity
from router.policy.outcome import End, Ended, FirstToken
from router.policy.recovery import Again
from router.policy.request import Request
from router.policy.resume import Mode, ResumePoint
from router.policy.rollout import Rollout
from router.policy.rule import Rule
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy import toy

ROLLOUT = Rollout("chat", "chat-v1", "chat-v2", share=0.1, aliases=("talk",))
V1 = EngineIdentity("weights-1", "tokens", "numerics")
V2 = EngineIdentity("weights-2", "tokens", "numerics")


def _fleet(rollout=ROLLOUT):
    return replace(toy.fleet(), rollouts=(rollout,))


def _core(rollout=ROLLOUT, *, identities=(V1, V2), replicas=2):
    core = RouterCore(_fleet(rollout))
    for version, identity in zip(("chat-v1", "chat-v2"), identities, strict=True):
        for number in range(replicas):
            name = f"{version}/{number}"
            core.on_endpoint_up(Endpoint(name, "home", version, identity=identity), 0)
    return core


class _Client:
    """Asks one turn after the other, each answered as `ends` says of its model."""

    def __init__(self, core, ends=None, *, slow=(), seed=1):
        self.core, self.ends, self.slow = core, ends or {}, slow
        self.rng = random.Random(seed)
        self.now = NS_PER_S
        self.count = 0
        self.hurt = 0

    def ask(self, session, model="chat", **more):
        self.count += 1
        request = Request(f"r{self.count}", model, session=session, prompt_tokens=50, **more)
        decision = self.core.on_request(request, self.now, self.rng)
        self.core.release(self.now, self.rng)
        return decision

    def turn(self, session, **more):
        """The models that were sent the turn, in their order."""
        decision, models = self.ask(session, **more), []
        while isinstance(decision, Send):
            models.append(decision.model)
            decision = self._answered(decision)
        failed = models and self.ends.get(models[-1], End.OK) is not End.OK
        self.hurt += bool(failed) or isinstance(decision, Refuse)
        return models

    def _answered(self, send):
        self.now += 20 * NS_PER_MS
        end = self.ends.get(send.model, End.OK)
        late = send.model in self.slow
        if end is End.OK:
            ttft_ns = 3 * NS_PER_S if late else 10 * NS_PER_MS
            first = FirstToken(send.request, send.endpoint, ttft_ns)
            self.core.on_outcome(first, self.now, self.rng)
            self.hurt += late
        tokens = 20 if end is End.OK else 0
        ended = Ended(send.request, send.endpoint, end, tokens, messages=tokens, slow_gaps=0)
        decision = self.core.on_outcome(ended, self.now, self.rng)
        self.core.release(self.now, self.rng)
        return decision


def _state(core):
    return core.snapshot(10 * NS_PER_S).rollouts[0]


@given(
    sessions=st.lists(st.text(min_size=1), min_size=1, max_size=50, unique=True),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_raising_the_share_moves_only_those_that_have_to(sessions, shares):
    """Who has the new version at a share has it at any larger one, on every router."""
    small, large = (replace(ROLLOUT, share=share) for share in sorted(shares))
    for session in sessions:
        if small.version_of(session) == "chat-v2":
            assert large.version_of(session) == "chat-v2"
        assert small.version_of(session) == replace(small).version_of(session)


def test_new_sessions_are_split_by_the_share():
    """A tenth of them, within chance; and all, and none."""
    got = [ROLLOUT.version_of(f"s{n}") == "chat-v2" for n in range(5000)]
    assert 0.08 < sum(got) / len(got) < 0.12
    assert all(replace(ROLLOUT, share=1.0).version_of(f"s{n}") == "chat-v2" for n in range(99))
    assert all(replace(ROLLOUT, share=0.0).version_of(f"s{n}") == "chat-v1" for n in range(99))


def test_a_decision_says_which_version_it_is_and_why():
    """Under the alias, too; a version that is asked for by its own name is no roll-out's matter."""
    client = _Client(_core())
    for name in ("chat", "talk"):
        send = client.ask("s", name)
        assert send.model == ROLLOUT.version_of("s")
        assert send.endpoint.startswith(send.model)
        assert (send.asked, send.reason.startswith(f"{name} is {send.model} here; ")) == (
            name,
            True,
        )
    direct = client.ask("s", "chat-v2")
    assert (direct.model, direct.endpoint[:7]) == ("", "chat-v2")


def test_the_version_that_has_the_name_itself_is_no_other_model():
    """Nothing is said of it but that it is one of two: no client and no engine hears of it."""
    core = RouterCore(_fleet(Rollout("chat", "chat", "chat-v2", share=0.0, aliases=("talk",))))
    core.on_endpoint_up(Endpoint("chat/0", "home", "chat"), 0)
    client = _Client(core)
    send, aliased = client.ask("s"), client.ask("s", "talk")
    assert (send.model, send.asked, " is chat here" in send.reason) == ("", "chat", False)
    assert (aliased.model, aliased.asked) == ("chat", "talk")


def test_a_session_stays_with_its_version_when_the_share_changes():
    """Those that have none yet go by the new share."""
    core = _core()
    client = _Client(core)
    before = {f"s{n}": client.turn(f"s{n}")[0] for n in range(100)}
    core.on_fleet(_fleet(replace(ROLLOUT, share=0.9)), client.now)
    assert {name: client.turn(name)[0] for name in before} == before
    after = [client.turn(f"t{n}")[0] for n in range(100)]
    assert after.count("chat-v2") > 70


def test_a_session_stays_with_its_version_when_its_endpoint_goes():
    """Another endpoint of the version has it."""
    core = _core(replace(ROLLOUT, share=1.0))
    client = _Client(core)
    send = client.ask("s")
    core.on_fleet(_fleet(replace(ROLLOUT, share=0.0)), client.now)
    client._answered(send)
    core.on_endpoint_gone(send.endpoint, client.now)
    again = client.ask("s")
    assert again.model == "chat-v2"
    assert again.endpoint != send.endpoint


def test_where_a_version_has_no_endpoint_the_other_one_answers():
    """Either way round: a version that is not deployed yet, or that has died, refuses nobody."""
    for gone, left in (("chat-v1", "chat-v2"), ("chat-v2", "chat-v1")):
        core = _core()
        for number in range(2):
            core.on_endpoint_gone(f"{gone}/{number}", 1)
        client = _Client(core)
        assert {client.turn(f"s{n}")[0] for n in range(50)} == {left}
    core = RouterCore(_fleet(replace(ROLLOUT, share=1.0)))
    core.on_endpoint_up(Endpoint("a", "home", "chat-v1"), 0)
    assert _Client(core).turn("s") == ["chat-v1"]


@pytest.mark.parametrize("end", [End.FAILED, End.UNREACHABLE, End.STALLED, End.REJECTED])
def test_a_version_that_fails_is_returned_and_few_are_hurt(end):
    """What it fails is asked of the standing version at once, where it may be asked again."""
    core = _core()
    client = _Client(core, {"chat-v2": end})
    turns = [client.turn(f"s{n}") for n in range(400)]
    state = _state(core)
    assert "chat-v2 failed, of chat-v1 0 of" in state.returned
    assert sum("chat-v2" in models for models in turns) < 25
    assert client.hurt == (0 if end is not End.REJECTED else state.new.failed)
    assert {client.turn(f"s{n}")[0] for n in range(400)} == {"chat-v1"}


def test_a_version_that_is_late_is_returned_and_its_sessions_go_back():
    """At their next turns, and though they had turns of it."""
    core = _core()
    client = _Client(core, slow={"chat-v2"})
    first = {f"s{n}": client.turn(f"s{n}")[0] for n in range(400)}
    moved = [name for name, model in first.items() if model == "chat-v2"]
    assert "late first token" in _state(core).returned
    assert 3 < len(moved) < 30
    assert client.hurt == len(moved)
    assert {client.turn(name)[0] for name in moved} == {"chat-v1"}


@pytest.mark.parametrize("ends", [{}, dict.fromkeys(("chat-v1", "chat-v2"), End.FAILED)])
def test_a_version_that_does_as_the_other_is_kept(ends):
    """Well or badly."""
    core = _core(replace(ROLLOUT, share=0.3))
    client = _Client(core, ends)
    for n in range(600):
        client.turn(f"s{n}")
        client.now += NS_PER_S
    assert not _state(core).returned


def test_what_breaks_together_counts_once():
    """Thirty streams end with their engine: that is one crash, and not thirty failures."""
    core = _core(replace(ROLLOUT, share=0.5))
    client = _Client(core)
    for n in range(100):
        client.turn(f"s{n}")
    sends = [send for n in range(120) if (send := client.ask(f"t{n}")).model == "chat-v2"][:30]
    for send in sends:
        ended = Ended(send.request, send.endpoint, End.UNREACHABLE)
        core.on_outcome(ended, client.now, client.rng)
    state = _state(core)
    assert state.new.failed == 1
    assert not state.returned


def test_one_session_that_nobody_can_answer_returns_nothing():
    """It is always the same version's, so that it says nothing of the version."""
    core = _core(replace(ROLLOUT, share=0.5))
    client = _Client(core)
    for n in range(60):
        client.turn(f"s{n}")
    session = next(f"t{n}" for n in range(99) if ROLLOUT.version_of(f"t{n}") == "chat-v2")
    client.ends = {"chat-v2": End.REJECTED}
    for _ in range(200):
        client.turn(session)
        client.ends = {}
        client.turn(f"u{client.count}")
        client.ends = {"chat-v2": End.REJECTED}
    assert _state(core).new.failed == 1
    assert not _state(core).returned


def test_a_returned_version_stays_so_until_it_is_resumed_or_the_file_says_another_thing():
    """A reload of the same roll-out lifts nothing; an operator does, and what was seen is gone."""
    core = _core()
    core.rollouts.change("chat", "said so", 0)
    core.rollouts.change("chat", "said again", 5)
    core.on_fleet(_fleet(), 1)
    assert _state(core).returned == "said so"
    core.rollouts.change("chat", "", 2)
    assert (_state(core).returned, _state(core).standing.answers) == ("", 0)
    core.rollouts.change("chat", "said so", 3)
    core.on_fleet(_fleet(replace(ROLLOUT, share=0.2)), 4)
    assert not _state(core).returned
    core.rollouts.change("nonsense", "said so", 5)


def test_what_is_said_of_a_version_takes_back_no_other():
    """Another process of the router may say it of one that the file had a moment before."""
    core = _core()
    core.rollouts.change("chat", "said so of the one before", 0, "chat-v1.9")
    assert not _state(core).returned
    core.rollouts.change("chat", "said so", 1, "chat-v2")
    assert _state(core).returned == "said so"


def test_a_request_that_waited_for_a_returned_version_goes_to_the_standing_one():
    """Its version is chosen when it is sent."""
    core = _core(replace(ROLLOUT, share=1.0))
    client = _Client(core)
    send = client.ask("s")
    core.rollouts.change("chat", "said so", client.now)
    core.on_connection(send.endpoint, False, client.now)
    ended = Ended(send.request, send.endpoint, End.UNREACHABLE)
    again = core.on_outcome(ended, client.now, client.rng)
    assert again.model == "chat-v1"


@pytest.mark.parametrize("known", [True, False])
def test_the_versions_never_go_on_with_each_others_streams(known):
    """A stream of one goes on at the other endpoint of it, and nowhere once that is gone."""
    identities = (V1, V2) if known else (EngineIdentity(), EngineIdentity())
    core = _core(replace(ROLLOUT, share=1.0), identities=identities)
    client = _Client(core)
    send = client.ask("s")
    core.on_outcome(FirstToken(send.request, send.endpoint, NS_PER_MS), client.now, client.rng)
    point = ResumePoint(5, 50, repeatable=True)
    broke = Ended(send.request, send.endpoint, End.UNREACHABLE, 5, messages=5, resume=point)
    again = client.core.on_outcome(broke, client.now, client.rng)
    assert (again.model, again.mode) == ("chat-v2", Mode.CONTINUE)
    broke = Ended(again.request, again.endpoint, End.UNREACHABLE, 5, messages=5, resume=point)
    for number in range(2):
        core.on_endpoint_gone(f"chat-v2/{number}", client.now)
    assert client.core.on_outcome(broke, client.now, client.rng).rule is Rule.NO_ENDPOINT
    rest = Request("w", "chat-v2", asked="chat", resume=replace(point, identity=identities[1]))
    asked = core.on_asked_again(Again(rest, (), 3, 2), client.now, client.rng)
    assert isinstance(asked, Refuse)


def test_a_stream_that_its_client_brings_goes_on_with_the_version_that_began_it():
    """Whatever version its session has; where that cannot be known it is made again at most."""
    for origin, version in ((V1, "chat-v1"), (V2, "chat-v2")):
        core = _core()
        client = _Client(core)
        for n in range(20):
            point = ResumePoint(5, 50, identity=origin)
            send = client.ask(f"s{n}", resume=point)
            assert (send.model, send.mode) == (version, Mode.CONTINUE)
    unknown = _Client(_core(identities=(EngineIdentity(), EngineIdentity())))
    assert isinstance(unknown.ask("s", resume=ResumePoint(5, 50)), Refuse)
    again = unknown.ask("s", resume=ResumePoint(5, 50, repeatable=True))
    assert again.mode is Mode.REPLAY


def test_token_ids_go_to_no_version_that_is_known_to_read_others():
    """They are the standing version's, whose tokenizer clients are given by that name."""
    other = replace(V2, tokenizer="other tokens")
    client = _Client(_core(replace(ROLLOUT, share=1.0), identities=(V1, other)))
    assert client.turn("s") == ["chat-v2"]
    assert client.turn("t", says_tokens=True) == ["chat-v1"]
    same = _Client(_core(replace(ROLLOUT, share=1.0)))
    assert same.turn("t", says_tokens=True) == ["chat-v2"]


def test_an_adapter_is_asked_of_the_version_that_has_it():
    """It is made for one version's weights, whatever version the session has."""
    adapted = replace(V1, adapters=(("polite", "digest"),))
    client = _Client(_core(replace(ROLLOUT, share=1.0), identities=(adapted, V2)))
    assert client.turn("s", adapter="polite") == ["chat-v1"]
    assert client.turn("t") == ["chat-v2"]


def test_a_name_of_one_version_is_that_version():
    """So the roll-out ends, and clients go on with the name that they have."""
    core = _core(Rollout("chat", "chat-v2"))
    assert _Client(core).turn("s") == ["chat-v2"]
    assert core.snapshot(0).rollouts == ()
