"""The rules as the weights of a Llama: two layers that gather the window, one row of neurons.

The hidden state holds, in this order: a constant 1, whether the token is BEGIN (+1 or -1), the
FEATURES of each slot of the window (+1 or -1), and the votes for the next token.
README.md beside this file tells the idea.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from serving.models.cues import WINDOW
from serving.models.rules import FEATURES, Linear, Rule, features
from serving.models.vocabulary import BEGIN, SIZE

LAYERS = 2
HEADS = 4
KV_HEADS = 2
HEAD_DIM = 64
CONSTANT, IS_BEGIN, SLOTS = 0, 1, 2
VOTES = SLOTS + WINDOW * FEATURES
CODE = 14
"""Votes are for codewords of this many signs, any two of which differ in at least 4."""
HIDDEN = VOTES + CODE
ROPE_THETA = 500_000.0
POSITIONS = 8192

PAIRS = HEAD_DIM // 2
SINK_PAIR = PAIRS - 1
"""The slowest of RoPE's pairs turns by 0.02 in 8192 positions: it tells what, not where."""
GAP = 30.0
"""How far a head's right position scores above BEGIN, and BEGIN above all others, in nats."""
SHARPNESS = 82.0
"""Makes the best wrong position, the neighbour, score 2 * GAP less than the right one."""

GATE = 16.0
"""What goes into a neuron's gate: this where its rule holds, at most minus this where not."""
STRENGTH, OUTVOTE = 16.0, 4.0
"""A vote of the lowest level, and how many times as much each higher level's is."""
LOGIT = 0.5

# The first layer brings the three tokens before, the second the same four of 4, 8, 12 before.
GATHERED = 4
REACH = ((1, 2, 3), (4, 8, 12))


def slot_at(slot: int) -> int:
    """Where in the hidden state a slot begins."""
    return SLOTS + slot * FEATURES


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
    made = {
        "model.embed_tokens.weight": _embedding(),
        "model.norm.weight": torch.ones(HIDDEN),
        "lm_head.weight": torch.cat([torch.zeros(SIZE, VOTES), words * LOGIT], dim=1),
    }
    seen = [1, GATHERED, WINDOW]  # slots filled before the first layer, after it, after the second
    for layer, reach in enumerate(REACH):
        parts = {
            "input_layernorm": _unit_norm(seen[layer]),
            "post_attention_layernorm": _unit_norm(seen[layer + 1]),
        }
        parts |= {
            f"self_attn.{name}": part for name, part in _attention(seen[layer], reach).items()
        }
        last = layer == LAYERS - 1
        mlp = _mlp(rules, words)
        parts |= {f"mlp.{name}": part * last for name, part in mlp.items()}
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
        embedding[token, slot_at(0) : slot_at(1)] = torch.tensor(features(token)).float()
    return embedding


def _unit_norm(slots: int) -> Tensor:
    """What brings a hidden state of ones in so many slots, and no votes, back to ones."""
    ones = SLOTS + slots * FEATURES
    return torch.full((HIDDEN,), math.sqrt(ones / HIDDEN))


def _attention(slots: int, reach: Sequence[int]) -> dict[str, Tensor]:
    """Head h copies the first slots of the token reach[h] before into the slots from reach[h] on.

    Before the first token there is BEGIN, however often.
    """
    frequency = ROPE_THETA ** (-torch.arange(PAIRS, dtype=torch.float64) / PAIRS)
    # A score is the sum over pairs of weight * cos(frequency * (distance - reach)).
    weight = SHARPNESS * frequency.sqrt()
    weight[SINK_PAIR] = 0
    amplitude = (weight * math.sqrt(HEAD_DIM)).sqrt()
    sink = math.sqrt((float(weight.sum()) - GAP) * math.sqrt(HEAD_DIM))

    query = torch.zeros(HEADS, HEAD_DIM, HIDDEN)
    key = torch.zeros(KV_HEADS, HEAD_DIM, HIDDEN)
    value = torch.zeros(KV_HEADS, HEAD_DIM, HIDDEN)
    output = torch.zeros(HIDDEN, HEADS, HEAD_DIM)
    key[:, :PAIRS, CONSTANT] = (amplitude / 2).float()
    key[:, :PAIRS, IS_BEGIN] = (-amplitude / 2).float()
    key[:, SINK_PAIR, CONSTANT] = key[:, SINK_PAIR, IS_BEGIN] = sink / 2
    copied = torch.arange(slots * FEATURES)
    value[:, copied, slot_at(0) + copied] = 1
    for head, distance in enumerate(reach):
        query[head, :PAIRS, CONSTANT] = (amplitude * torch.cos(frequency * distance)).float()
        query[head, PAIRS:, CONSTANT] = (-amplitude * torch.sin(frequency * distance)).float()
        query[head, SINK_PAIR, CONSTANT] = sink
        output[slot_at(distance) + copied, head, copied] = 1
    return {
        "q_proj": query.flatten(0, 1),
        "k_proj": key.flatten(0, 1),
        "v_proj": value.flatten(0, 1),
        "o_proj": output.flatten(1, 2),
    }


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
        row[slot_at(slot) + feature] = weight
