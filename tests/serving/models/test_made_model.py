"""The made model: its weights are fresh, and what transformers makes of them is right."""

import json

import pytest

from serving.models import BUILT_IN
from serving.models.answers import answer, answer_chat, count_prompt, recite_prompt
from serving.models.rules import rules
from serving.models.vocabulary import encode, encode_chat

# torch and transformers take seconds to import: not while tests are collected.


def test_the_weights_are_what_the_program_makes():
    """Nobody edits them, and no machine makes others."""
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    from serving.models.weights import intermediate, tensors  # noqa: PLC0415

    known = list(rules())
    made, kept = tensors(known), load_file(BUILT_IN / "model.safetensors")
    assert made.keys() == kept.keys()
    assert all(torch.equal(made[name], kept[name]) for name in made)
    config = json.loads((BUILT_IN / "config.json").read_text())
    assert config["intermediate_size"] == intermediate(known)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_transformers_gives_the_answers(dtype):
    """A few of the cases of serving.models.check, which has them all."""
    import torch  # noqa: PLC0415

    from serving.models import check  # noqa: PLC0415

    prompts = [count_prompt(7), count_prompt(998, "Über 12 "), "7", "9998", recite_prompt()]
    cases = [(encode(prompt), answer(prompt, 120).token_ids) for prompt in prompts]
    messages = [("system", "Be brief."), ("user", "Recite the night ferry.")]
    cases.append((encode_chat(messages), answer_chat(messages, 1000).token_ids))
    verdict = check.judge(check.load(BUILT_IN, getattr(torch, dtype)), cases)
    assert verdict.wrong == 0
    assert verdict.margin > 5
