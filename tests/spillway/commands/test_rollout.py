"""`spillway rollout`: what it shows, and what it asks a router to do."""

import json

from spillway.commands.failure import Outcome
from wire.spillway.v1.fleet_pb2 import RolloutState, VersionState


def _rollout(**more):
    return RolloutState(
        name="chat",
        share=0.1,
        standing=VersionState(model="v1", answers=55, first_tokens=55),
        new=VersionState(model="v2", answers=10, failed=10),
        **more,
    )


def test_the_versions_of_a_model_are_shown(spillway, router):
    """A row for each, and a sentence on how it stands."""
    router.rollouts.append(_rollout(said="v2 has 10% of new sessions, v1 the others"))
    out = spillway("rollout", "status")[1].splitlines()
    assert out[1].split("\t") == ["chat", "v1", "90%", "55", "0", "55", "0", "0"]
    assert out[2].split("\t") == ["chat", "v2", "10%", "10", "10", "0", "0", "0"]
    assert out[3] == "chat: v2 has 10% of new sessions, v1 the others."
    assert json.loads(spillway("rollout", "status", "--json")[1])[0]["name"] == "chat"
    assert "chat: v2 has 10% of new sessions" in spillway("status")[1]


def test_a_version_is_taken_back_and_resumed(spillway, router):
    """By hand, for a reason; a name that no two versions serve is refused."""
    router.rollouts.append(_rollout(said="it goes on"))
    code, out, _ = spillway("rollout", "return", "chat", "--reason", "it is rude")
    assert (code, out) == (0, "chat: taken back: it is rude.\n")
    assert "returned" in spillway("rollout", "status")[1]
    code, out, _ = spillway("rollout", "resume", "chat")
    assert (code, out) == (0, "chat: it goes on.\n")
    code, _, err = spillway("rollout", "resume", "caht")
    assert (code, err) == (Outcome.REFUSED, "spillway: no two versions serve caht\n")
