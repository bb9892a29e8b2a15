"""Options are the fields of the request by their own names."""

import pytest

from spillway.client.options import _FIELDS, _METADATA, OptionError, Options, call_of
from wire.vllm import inference_pb2 as pb


def test_every_option_has_a_place():
    """Each is a field of the request, metadata in words of its own, or neither."""
    assert set(Options.__annotations__) == {
        *_FIELDS,
        *_METADATA,
        "session",
        "deadline_s",
        "stand_in",
    }


def test_every_field_of_the_wire_has_an_option():
    """Only media and transfers between engines, which a client has no use for, are left out."""
    places = {"": pb.GenerateRequest.DESCRIPTOR}
    for name in ("sampling", "decoding", "stopping", "response", "kv"):
        places[name] = places[""].fields_by_name[name].message_type
    wanted = {(place, one.name) for place, kind in places.items() for one in kind.fields}
    given = {(place, name) for name, place in _FIELDS.items()}
    elsewhere = {"text", "token_ids", "session_id", *places}
    left_out = {name for place, name in wanted - given if place or name not in elsewhere}
    assert left_out == {"media", "kv_transfer_params", "ec_transfer_params"}


def test_options_become_fields():
    """Numbers, lists, maps, and zero where zero means something."""
    request = call_of(
        [1, 2],
        {
            "temperature": 0.0,
            "top_p": 0.5,
            "logit_bias": {7: -1.5},
            "choice": ["yes", "no"],
            "stop_strings": ["\n"],
            "output_candidates": 3,
            "output_text": False,
            "cache_salt": "s",
        },
        deadline_s=1.0,
    ).request
    assert list(request.token_ids.ids) == [1, 2]
    assert request.HasField("temperature")
    assert request.sampling.top_p == 0.5
    assert request.decoding.logit_bias == {7: -1.5}
    assert request.decoding.choice.choices == ["yes", "no"]
    assert request.stopping.stop_strings == ["\n"]
    assert request.response.output_candidates.top_n == 3
    assert request.response.HasField("output_text")
    assert request.kv.cache_salt == "s"
    assert not request.HasField("session_id")


def test_a_schema_may_be_given_as_a_mapping():
    """It is the wire that wants it as text."""
    request = call_of("", {"json": {"type": "object"}}, deadline_s=1.0).request
    assert request.decoding.json == '{"type": "object"}'


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temprature": 1}, TypeError, "temprature is no option; did you mean temperature?"),
        ({"max_new_tokens": -1}, OptionError, "max_new_tokens: "),
        ({"max_new_tokens": "many"}, OptionError, "max_new_tokens: "),
        ({"stop_strings": 3}, OptionError, "stop_strings: "),
        ({"regex": "a", "json_object": True}, OptionError, "regex and json_object exclude"),
        ({"slo": "é"}, OptionError, "slo: expected printable ASCII"),
        ({"deadline_s": 0}, OptionError, "deadline_s: expected seconds above 0"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, error, message):
    """Before anything is sent."""
    with pytest.raises(error, match=message.replace("?", r"\?")):
        call_of("", options, deadline_s=1.0)
