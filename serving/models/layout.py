"""The shape of the model, and what stands where in its hidden state.

The hidden state holds, in this order: a constant 1; whether the token is BEGIN (+1 or -1); the
FEATURES of each slot of the window (+1 or -1); what is known of each digit of the note (+1 or -1);
the votes for the next token.
"""

from serving.models.conditions import FEATURES, NOTE_FEATURES, NOTE_WIDTH
from serving.models.cues import WINDOW

LAYERS = 2
HEADS = 4
KV_HEADS = 2
HEAD_DIM = 64
POSITIONS = 8192
ROPE_THETA = 500_000.0

CODE = 15
"""Votes are for codewords of this many signs, any two of which differ in at least 4."""

CONSTANT, IS_BEGIN, SLOTS = 0, 1, 2
NOTE = SLOTS + WINDOW * FEATURES
VOTES = NOTE + NOTE_WIDTH * len(NOTE_FEATURES)
HIDDEN = VOTES + CODE


def place_of(slot: int, feature: int) -> int:
    """Where a feature stands; slots from WINDOW on are the digits of the note, the first first."""
    if slot < WINDOW:
        return SLOTS + slot * FEATURES + feature
    return NOTE + (slot - WINDOW) * len(NOTE_FEATURES) + NOTE_FEATURES.index(feature)
