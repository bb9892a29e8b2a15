"""The load that a plan must carry: spells of a trace that stand for all of it.

A week cannot be simulated for every plan that is tried. It is cut into spells of equal length,
which are sorted by how many tokens they ask for; from each of a few strata the middle spell is
taken, and the heaviest spell of all as a stratum of its own. A figure of the week is then the mean
of the spells' figures, each weighted by what it stands for.

Where home lends by a schedule, the spells of each of its states are sorted by themselves: a night
of middling load with half of home away may be harder than the busiest noon.

A conversation is in every spell in which it has turns, with those that fall there: else a spell
would begin with nobody but those who come, and never reach the load of a place that is full. When a
turn falls is estimated, from the pauses and the lengths of answers.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from router.policy.lending import MINUTES_OF_WEEK, Lending
from router.policy.units import NS_PER_MS, NS_PER_S, ns
from router.sim.plan import SimSession, SimTurn

TURNS_MAX = 4_000
"""Turns of all chosen spells together: a second or two of simulation for each plan."""

TURNS_HEAVY_MAX = 20_000
"""The same where the load is so heavy that spells would be too short for queues to form."""

STRATA = 6
SPELL_MINUTES_MAX = 30  # long enough for queues to form
SPELLS_MIN = 16  # that a trace is cut into, if they are not too short
SIMULATED_S_MIN = 120.0  # of a spell that is cut short

_TOKEN_NS = 30 * NS_PER_MS  # of an answer, where it is not known yet who gives it
_MINUTE_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Spell:
    """A piece of the load, its sessions' offsets counted from its beginning."""

    sessions: tuple[SimSession, ...]
    begins_s: float
    lasts_s: float
    weight: float  # the share of all spells for which it stands

    @property
    def turns(self) -> int:
        """That it asks for."""
        return sum(len(session.turns) for session in self.sessions)


@dataclass(frozen=True, slots=True)
class Demand:
    """The chosen spells, the heaviest first, and how much they were chosen from."""

    spells: tuple[Spell, ...]
    sessions: int
    lasts_s: float
    begins_minute: float = 0  # of the week


@dataclass(slots=True)
class _Survey:
    """What is asked in each minute of a trace."""

    sessions: int = 0
    last_ns: int = 0
    turns: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)


def sample(
    sessions: Iterable[SimSession], begins_minute: float = 0, lendings: Sequence[Lending] = ()
) -> Demand:
    """The spells of a trace that begins in this minute of the week.

    The trace is gone through twice, and only what is chosen is held; an iterator, which can be gone
    through once, is held whole. ValueError for a trace without sessions.
    """
    if isinstance(sessions, Iterator):
        sessions = list(sessions)
    survey = _survey(sessions)
    if not survey.sessions:
        raise ValueError("the trace has no sessions")
    minutes = max(1, min(SPELL_MINUTES_MAX, survey.last_ns // _MINUTE_NS // SPELLS_MIN))
    turns, tokens = _by_spell(survey.turns, minutes), _by_spell(survey.tokens, minutes)
    alike: dict[tuple[int, ...], list[int]] = {}
    for index in sorted(tokens, key=tokens.__getitem__):
        middle = begins_minute + (index + 0.5) * minutes
        state = tuple(one.lent(int(middle) % MINUTES_OF_WEEK) for one in lendings)
        alike.setdefault(state, []).append(index)
    stands_for, lasts_s = _chosen(list(alike.values()), turns, 60.0 * minutes)
    spell_ns = minutes * _MINUTE_NS
    held = _held(sessions, spell_ns, {index: ns(lasts_s[index]) for index in stands_for})
    spells = tuple(
        Spell(
            tuple(held[index]),
            index * 60.0 * minutes,
            lasts_s[index],
            stands_for[index] / len(turns),
        )
        for index in sorted(stands_for, key=lambda index: -tokens[index])
    )
    return Demand(spells, survey.sessions, max(1.0, survey.last_ns / NS_PER_S), begins_minute)


def _turns_of(session: SimSession) -> Iterator[tuple[int, SimTurn]]:
    """The turns of a session, and about when each is asked."""
    at_ns = session.at_ns
    for turn in session.turns:
        at_ns += turn.think_ns
        yield at_ns, turn
        at_ns += turn.output_tokens * _TOKEN_NS


def _survey(sessions: Iterable[SimSession]) -> _Survey:
    found = _Survey()
    for session in sessions:
        found.sessions += 1
        for at_ns, turn in _turns_of(session):
            minute = at_ns // _MINUTE_NS
            found.turns[minute] += 1
            found.tokens[minute] += turn.prompt_tokens + turn.output_tokens
        found.last_ns = max(found.last_ns, at_ns)
    return found


def _by_spell(counts: Counter[int], minutes: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for minute, count in counts.items():
        found[minute // minutes] += count
    return found


def _chosen(
    alike: Sequence[Sequence[int]], turns: Mapping[int, int], spell_s: float
) -> tuple[dict[int, int], dict[int, float]]:
    """The spells to simulate: for how many each stands, and how long it is simulated.

    Of fewer strata each is longer: where the load is heavy there are fewer.
    """
    for strata in range(STRATA, 0, -1):
        stands_for = {
            index: count
            for ordered in alike
            for index, count in _strata(ordered, strata, len(turns))
        }
        share = TURNS_MAX / len(stands_for)
        lasts_s = {
            index: min(spell_s, max(SIMULATED_S_MIN, share * spell_s / turns[index]))
            for index in stands_for
        }
        asked = sum(turns[index] * lasts_s[index] / spell_s for index in stands_for)
        if asked <= TURNS_MAX * 1.1:
            return stands_for, lasts_s
    shrunk = min(1.0, TURNS_HEAVY_MAX / asked)
    return stands_for, {index: shrunk * one for index, one in lasts_s.items()}


def _strata(ordered: Sequence[int], strata: int, spells: int) -> Iterator[tuple[int, int]]:
    """Of spells by their weight those that stand for all of them, and each for how many."""
    others = ordered[:-1]
    yield ordered[-1], 1
    strata = min(len(others), max(1, round(strata * len(others) / spells)))
    for stratum in range(strata):
        begin, end = stratum * len(others) // strata, (stratum + 1) * len(others) // strata
        yield others[(begin + end) // 2], end - begin


def _held(
    sessions: Iterable[SimSession], spell_ns: int, lasts_ns: Mapping[int, int]
) -> dict[int, list[SimSession]]:
    """What is asked in the chosen spells, each from its beginning on."""
    held: dict[int, list[SimSession]] = {index: [] for index in lasts_ns}
    for session in sessions:
        pieces: dict[int, list[SimTurn]] = {}
        begun_ns: dict[int, int] = {}
        for at_ns, turn in _turns_of(session):
            index = at_ns // spell_ns
            if index not in lasts_ns or at_ns - index * spell_ns >= lasts_ns[index]:
                continue
            if index not in pieces:
                begun_ns[index] = at_ns - index * spell_ns
                pieces[index] = [replace(turn, think_ns=0) if turn.think_ns else turn]
            else:
                pieces[index].append(turn)
        for index, piece in pieces.items():
            held[index].append(replace(session, at_ns=begun_ns[index], turns=tuple(piece)))
    for found in held.values():
        found.sort(key=lambda session: session.at_ns)
    return held
