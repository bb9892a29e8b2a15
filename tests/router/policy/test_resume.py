"""The table of ways on: which endpoint may go on with which stream, and how."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.resume import TEXT, Mode, ResumePoint, mode_at, rank

HERE = EngineIdentity("w", "t", "n", restores=(TEXT, "penalties"), adapters=(("lora", "d"),))
POINT = ResumePoint(5, 10, features=(TEXT,), repeatable=True, identity=HERE)


@pytest.mark.parametrize(
    ("case", "point", "identity", "mode"),
    [
        ("the same model restores all", POINT, HERE, Mode.CONTINUE),
        ("other numerics", POINT, replace(HERE, numerics="m"), Mode.CONTINUE),
        ("other weights", POINT, replace(HERE, weights="v"), None),
        ("another tokenizer", POINT, replace(HERE, tokenizer="u"), None),
        ("a feature not restored", replace(POINT, features=("seed",)), HERE, Mode.REPLAY),
        (
            "a feature not restored, and drawn without a seed",
            replace(POINT, features=("seed",), repeatable=False),
            HERE,
            None,
        ),
        ("drawn, and all restored", replace(POINT, repeatable=False), HERE, Mode.CONTINUE),
        ("prompt not known", replace(POINT, prompt_known=False), HERE, Mode.REPLAY),
        ("half a character, restored", replace(POINT, text_whole=False), HERE, Mode.CONTINUE),
        ("half a character at a stranger", replace(POINT, text_whole=False), UNKNOWN, Mode.REPLAY),
        ("a stranger, and nothing to restore", POINT, UNKNOWN, Mode.CONTINUE),
        ("from a stranger", replace(POINT, identity=UNKNOWN), HERE, Mode.CONTINUE),
        (
            "a stranger, and something to restore",
            replace(POINT, features=(TEXT, "penalties")),
            UNKNOWN,
            Mode.REPLAY,
        ),
        ("an adapter that is there", replace(POINT, adapter="lora"), HERE, Mode.CONTINUE),
        (
            "an adapter of another digest",
            replace(POINT, adapter="lora"),
            replace(HERE, adapters=(("lora", "e"),)),
            Mode.REPLAY,
        ),
        ("an adapter at a stranger", replace(POINT, adapter="lora"), UNKNOWN, Mode.REPLAY),
        ("the very same, there", replace(POINT, exact=True), HERE, Mode.CONTINUE),
        ("the very same, elsewhere", replace(POINT, exact=True), replace(HERE, numerics="m"), None),
        ("the very same, at a stranger", replace(POINT, exact=True), UNKNOWN, None),
        ("impossible", replace(POINT, impossible="not kept"), HERE, None),
    ],
)
def test_the_way_on(case, point, identity, mode):
    """Like goes on with like; what only the same answer can show is replayed; else no way."""
    assert mode_at(point, identity) is mode, case


def test_an_unknown_digest_is_equal_to_nothing():
    """Not to itself, either: two engines that cannot say what they run are not alike."""
    assert not UNKNOWN.is_like(UNKNOWN)
    assert not replace(HERE, numerics="").rounds_like(replace(HERE, numerics=""))


def test_the_very_same_stream_comes_first():
    """Same numerics before others, and within each to continue before to replay."""
    replayed = replace(HERE, restores=())
    others = replace(HERE, numerics="m")
    ranked = [HERE, replayed, others, replace(replayed, numerics="m")]
    assert [rank(POINT, identity) for identity in ranked] == [0, 1, 2, 3]


_digest = st.sampled_from(["", "a", "b"])
_identity = st.builds(
    EngineIdentity, _digest, _digest, _digest, st.sampled_from([(), (TEXT,), (TEXT, "seed")])
)


@given(_identity, _identity, st.sampled_from([(), (TEXT,), (TEXT, "seed")]), st.booleans())
def test_no_stream_is_continued_at_another_model(origin, other, features, repeatable):
    """Whatever else holds: where both say what they run, it is the same."""
    point = ResumePoint(1, 1, features=features, repeatable=repeatable, identity=origin)
    mode = mode_at(point, other)
    if origin.is_known and other.is_known and mode is not None:
        assert (origin.weights, origin.tokenizer) == (other.weights, other.tokenizer)
    if mode is Mode.REPLAY:
        assert repeatable
