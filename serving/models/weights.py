"""The rules as the weights of a Llama: two layers that gather the window, one row of neurons.

README.md beside this file tells the idea, layout.py what stands where.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from serving.models.attention import GATHERED, REACH, gathering, with_note
from serving.models.conditions import FEATURES, Linear, features
from serving.models.layout import CODE, CONSTANT, HIDDEN, IS_BEGIN, LAYERS, SLOTS, VOTES, place_of
from serving.models.rules import Rule
from serving.models.vocabulary import BEGIN, SIZE

GATE = 16.0
"""What goes into a neuron's gate: this where its rule holds, at most minus this where not."""
STRENGTH, OUTVOTE = 16.0, 4.0
"""A vote of the lowest level, and how many times as much each higher level's is."""
LOGIT = 0.5


def codewords() -> Tensor:
    """[SIZE, CODE] of +1 and -1: greedily, the next number that is far enough from all before."""
    chosen: list[int] = []
    candidate = 0
    while len(chosen) < SIZE:
        if all((candidate ^ other).bit_count() >= 4 for other in chosen):
            chosen.append(candidate)
        candidate += 1
    words = torch.tensor(chosen)[:, None] >> torch.arange(CODE) & 1
    return words * 2.0 - 1


def tensors(rules: Sequence[Rule]) -> dict[str, Tensor]:
    """All weights by the names that Llama checkpoints use.

    They are bfloat16, for most are small whole numbers; the norms are float32, so that a one stays
    a one from layer to layer. An engine that runs in bfloat16 rounds it back to one by itself.
    """
    words = codewords()
    neurons = _mlp(rules, words)
    made = {
        "model.embed_tokens.weight": _embedding(),
        "model.norm.weight": torch.ones(HIDDEN),
        "lm_head.weight": torch.cat([torch.zeros(SIZE, VOTES), words * LOGIT], dim=1),
    }
    heads = [gathering(1, REACH[0]), with_note(gathering(GATHERED, REACH[1]))]
    # How many ones the hidden state has before the first layer and after each attention.
    ones = [SLOTS + slots * FEATURES for slots in (1, GATHERED)] + [VOTES]
    for layer in range(LAYERS):
        idle = layer < LAYERS - 1  # the window is whole in the last layer only
        parts = {
            "input_layernorm": _unit_norm(ones[layer]),
            "post_attention_layernorm": _unit_norm(ones[layer + 1]),
        }
        parts |= {f"self_attn.{name}": _matrix(part) for name, part in heads[layer].items()}
        parts |= {f"mlp.{name}": part * (not idle) for name, part in neurons.items()}
        made |= {f"model.layers.{layer}.{name}.weight": part for name, part in parts.items()}
    return {
        name: tensor if "norm" in name else tensor.to(torch.bfloat16).contiguous()
        for name, tensor in made.items()
    }


def intermediate(rules: Sequence[Rule]) -> int:
    """The number of neurons: one a rule, rounded up to whole vectors."""
    return math.ceil(len(rules) / 64) * 64


def _embedding() -> Tensor:
    embedding = torch.zeros(SIZE, HIDDEN)
    embedding[:, CONSTANT] = 1
    embedding[:, IS_BEGIN] = -1
    embedding[BEGIN, IS_BEGIN] = 1
    for token in range(SIZE):
        embedding[token, place_of(0, 0) : place_of(1, 0)] = torch.tensor(features(token)).float()
    return embedding


def _unit_norm(ones: int) -> Tensor:
    """What brings a hidden state of so many signs, and no votes, back to signs."""
    return torch.full((HIDDEN,), math.sqrt(ones / HIDDEN))


def _matrix(heads: Tensor) -> Tensor:
    """Heads side by side: [head, in head, hidden] or [hidden, head, in head]."""
    return heads.flatten(1, 2) if heads.shape[0] == HIDDEN else heads.flatten(0, 1)


def _mlp(rules: Sequence[Rule], words: Tensor) -> dict[str, Tensor]:
    """A neuron a rule: its gate opens where the rule holds, and it adds the votes' codewords."""
    neurons = intermediate(rules)
    gate = torch.zeros(neurons, HIDDEN)
    up = torch.zeros(neurons, HIDDEN)
    down = torch.zeros(HIDDEN, neurons)
    for neuron, rule in enumerate(rules):
        # 0 becomes +GATE, and -2 or less becomes -GATE or less.
        _write(gate[neuron], (rule.when + Linear(constant=1)) * GATE)
        _write(up[neuron], rule.by)
        strength = STRENGTH * OUTVOTE**rule.level / GATE
        for token, votes in rule.votes.items():
            down[VOTES:, neuron] += words[token] * votes * strength
    return {"gate_proj": gate, "up_proj": up, "down_proj": down}


def _write(row: Tensor, linear: Linear) -> None:
    row[CONSTANT] = linear.constant
    for (slot, feature), weight in linear.weights.items():
        row[place_of(slot, feature)] = weight
