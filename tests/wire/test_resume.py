"""The table of what becomes of each feature covers the request, and reads requests right."""

from collections import Counter
from pathlib import Path

import pytest

from wire.spillway.v1.resume import FEATURES, RESTORABLE, Way, features_of, is_repeatable
from wire.vllm.inference_pb2 import GenerateRequest

PARTS = ("sampling", "decoding", "stopping", "response", "kv")
"""Fields that are messages of further fields; the others are read as a whole."""


def fields_of_request():
    """The paths of all fields."""
    for field in GenerateRequest.DESCRIPTOR.fields:
        if field.name in PARTS:
            yield from (f"{field.name}.{inner.name}" for inner in field.message_type.fields)
        else:
            yield field.name


def test_every_field_stands_in_exactly_one_feature():
    """A field that is added to the contract has to be thought about."""
    listed = Counter(path for feature in FEATURES for path in feature.fields)
    assert listed == Counter(fields_of_request())


def test_what_needs_restoring_has_a_name():
    assert set(RESTORABLE) == {"seed", "penalties", "structured_output", "stop_strings", "text"}


USES = {
    "seed": {"sampling": {"seed": 0}},
    "several_sequences": {"sampling": {"num_sequences": 2}},
    "penalties": {"decoding": {"presence_penalty": 0.5}},
    "repetition_penalty": {"decoding": {"repetition_penalty": 1.1}},
    "biases": {"decoding": {"allowed_token_ids": [7]}},
    "structured_output": {"decoding": {"regex": "a*"}},
    "stop_strings": {"stopping": {"stop_strings": ["x"]}},
    "logprobs": {"response": {"output_candidates": {"top_n": 1}}},
    "transfers": {"kv": {"kv_transfer_params": {}}},
    "media": {"media": [{"url": "u"}]},
    "adapter": {"lora_name": "poet"},
}


@pytest.mark.parametrize("name", USES)
def test_a_feature_is_seen_where_it_is_used(name):
    """And a plain request does not use it."""
    assert name in {feature.name for feature in features_of(GenerateRequest(**USES[name]))}
    assert name not in {feature.name for feature in features_of(GenerateRequest())}


def test_every_feature_that_may_be_absent_is_tried():
    always = {feature.name for feature in features_of(GenerateRequest())}
    assert always | set(USES) == {feature.name for feature in FEATURES}


def test_tokens_alone_need_nothing_restored():
    """Nor does a seed where decoding is greedy."""
    request = GenerateRequest(temperature=0, sampling={"seed": 1}, response={"output_text": False})
    assert all(feature.way is Way.CONTINUE for feature in features_of(request))


def test_a_draw_without_a_seed_cannot_be_repeated():
    assert not is_repeatable(GenerateRequest(temperature=0.7))
    for fields in ({"temperature": 0}, {}, {"temperature": 1, "sampling": {"seed": 3}}):
        assert is_repeatable(GenerateRequest(**fields))


def test_the_documentation_has_this_table():
    """Row by row, in this order, and no other rows."""
    page = (Path(__file__).parents[2] / "docs" / "streams.md").read_text()
    section = page.partition("\n## What becomes of each feature\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert rows == [
        f"| {feature.name} | {', '.join(f'`{path}`' for path in feature.fields)} "
        f"| {feature.way.value} | {feature.why} |"
        for feature in FEATURES
    ]
