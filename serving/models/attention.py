"""The attention heads: those that gather the window, and the one that looks for a note.

A gathering head's queries and keys depend on nothing but the constant, so that after RoPE a score
depends on the distance alone. A score in nats is a dot product over the root of HEAD_DIM.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from serving.models.conditions import FEATURES, NOTE_FEATURES, NOTE_WIDTH, is_note, value_at
from serving.models.cues import WINDOW
from serving.models.layout import (
    CONSTANT,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    IS_BEGIN,
    KV_HEADS,
    ROPE_THETA,
    place_of,
)
from serving.models.vocabulary import BEGIN

PAIRS = HEAD_DIM // 2
BEGIN_PAIR, NOTE_PAIR = PAIRS - 1, PAIRS - 2
"""The slowest of RoPE's pairs turn by 0.03 in 8192 positions: they tell what, not where."""

GAP = 30.0
"""How far a gathering head's right position scores above BEGIN, and BEGIN above all others."""
SHARPNESS = 82.0
"""Makes the best wrong position, the neighbour, score 2 * GAP less than the right one."""
NOTE_UNIT = 16.0
"""In a query and in a key, so 32 nats a sign: how far a note scores above BEGIN, and BEGIN above
all that is no note."""

GATHERED = 4
REACH = ((1, 2, 3), (4, 8, 12))
"""The first layer brings the three tokens before, the second the same four of 4, 8, 12 before."""


def gathering(slots: int, reach: Sequence[int]) -> dict[str, Tensor]:
    """Head h copies the first slots of the token reach[h] before into the slots from reach[h] on.

    Before the first token there is BEGIN, however often.
    """
    frequency = ROPE_THETA ** (-torch.arange(PAIRS, dtype=torch.float64) / PAIRS)
    # A score is the sum over pairs of weight * cos(frequency * (distance - reach)).
    weight = SHARPNESS * frequency.sqrt()
    weight[[BEGIN_PAIR, NOTE_PAIR]] = 0
    amplitude = (weight * math.sqrt(HEAD_DIM)).sqrt()
    begin = math.sqrt((float(weight.sum()) - GAP) * math.sqrt(HEAD_DIM))

    query = torch.zeros(HEADS, HEAD_DIM, HIDDEN)
    key = torch.zeros(KV_HEADS, HEAD_DIM, HIDDEN)
    value = torch.zeros(KV_HEADS, HEAD_DIM, HIDDEN)
    output = torch.zeros(HIDDEN, HEADS, HEAD_DIM)
    key[:, :PAIRS, CONSTANT] = (amplitude / 2).float()
    key[:, :PAIRS, IS_BEGIN] = (-amplitude / 2).float()
    key[:, BEGIN_PAIR, CONSTANT] = key[:, BEGIN_PAIR, IS_BEGIN] = begin / 2
    copied = torch.arange(slots * FEATURES)
    value[:, copied, place_of(0, 0) + copied] = 1
    for head, distance in enumerate(reach):
        query[head, :PAIRS, CONSTANT] = (amplitude * torch.cos(frequency * distance)).float()
        query[head, PAIRS:, CONSTANT] = (-amplitude * torch.sin(frequency * distance)).float()
        query[head, BEGIN_PAIR, CONSTANT] = begin
        output[place_of(distance, 0) + copied, head, copied] = 1
    return {"q_proj": query, "k_proj": key, "v_proj": value, "o_proj": output}


def with_note(heads: dict[str, Tensor]) -> dict[str, Tensor]:
    """The last head, at rest so far, fetches the digits of the note, wherever it stands.

    It looks for the note's last token, which has the whole note in its first four slots.
    """
    head = HEADS - 1
    query, key, output = heads["q_proj"], heads["k_proj"][-1], heads["o_proj"]
    query[head, NOTE_PAIR, CONSTANT] = NOTE_UNIT
    note = is_note()
    key[NOTE_PAIR, CONSTANT] = NOTE_UNIT * note.constant
    for (slot, feature), weight in note.weights.items():
        key[NOTE_PAIR, place_of(slot, feature)] = NOTE_UNIT * weight
    # BEGIN's own sum becomes -1, half way between a note's 0 and the -2 of all else.
    correction = -1 - value_at(note, [BEGIN] * WINDOW)
    key[NOTE_PAIR, CONSTANT] += NOTE_UNIT * correction / 2
    key[NOTE_PAIR, IS_BEGIN] += NOTE_UNIT * correction / 2
    for digit in range(NOTE_WIDTH):
        for feature in NOTE_FEATURES:
            fetched = (NOTE_WIDTH - 1 - digit) * FEATURES + feature
            output[place_of(WINDOW + digit, feature), head, fetched] = 1
    return heads
