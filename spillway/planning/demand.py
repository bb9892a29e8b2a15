"""The load that a plan must carry: spells of a trace that stand for all of it.

A week cannot be simulated for every plan that is tried. It is cut into spells of equal length,
which are sorted by how many tokens they ask for; from each of a few strata the middle spell is
taken, and the heaviest spell of all as a stratum of its own. A figure of the week is then the mean
of the spells' figures, each weighted by what it stands for.

Where home lends by a schedule, the spells of each of its states are sorted by themselves: a night
of middling load with half of home away may be harder than the busiest noon.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from router.policy.lending import MINUTES_OF_WEEK, Lending
from router.policy.units import NS_PER_S
from router.sim.plan import SimSession

SESSIONS_MAX = 4_000
"""Sessions of all chosen spells together: a second or two of simulation for each plan."""

STRATA = 6
SPELL_S_MIN, SPELL_S_MAX = 60, 1_800  # long enough for queues to form
SPELLS_MIN = 16  # that a trace is cut into, if they are not too short
SESSIONS_OF_A_SPELL_MAX = 1_500  # a heavier spell is cut short


@dataclass(frozen=True, slots=True)
class Spell:
    """A piece of the load, its sessions' offsets counted from its beginning."""

    sessions: tuple[SimSession, ...]
    begins_s: float
    lasts_s: float
    weight: float  # the share of all spells for which it stands


@dataclass(frozen=True, slots=True)
class Demand:
    """The chosen spells, and how much they were chosen from."""

    spells: tuple[Spell, ...]
    sessions: int
    lasts_s: float
    begins_minute: float = 0  # of the week


def sample(
    sessions: Iterable[SimSession], begins_minute: float = 0, lendings: Sequence[Lending] = ()
) -> Demand:
    """The spells of a trace that begins in this minute of the week, the heaviest first.

    ValueError for a trace without sessions.

    All sessions are held while they are sorted: a week of a million turns takes about a gigabyte.
    """
    everything = list(sessions)
    if not everything:
        raise ValueError("the trace has no sessions")
    lasts_s = max(1.0, everything[-1].at_ns / NS_PER_S)
    spell_s = max(SPELL_S_MIN, min(SPELL_S_MAX, lasts_s / SPELLS_MIN))
    cut: dict[int, list[SimSession]] = {}
    for session in everything:
        cut.setdefault(int(session.at_ns / NS_PER_S / spell_s), []).append(session)
    alike: dict[tuple[int, ...], list[int]] = {}
    for index in sorted(cut, key=lambda index: _tokens(cut[index])):
        middle = begins_minute + (index + 0.5) * spell_s / 60
        state = tuple(one.lent(int(middle) % MINUTES_OF_WEEK) for one in lendings)
        alike.setdefault(state, []).append(index)
    chosen = [one for ordered in alike.values() for one in _strata(ordered, len(cut))]
    chosen.sort(key=lambda one: -_tokens(cut[one[0]]))
    most = min(SESSIONS_OF_A_SPELL_MAX, SESSIONS_MAX // len(chosen))
    spells = tuple(
        _spell(cut[index], index * spell_s, spell_s, count / len(cut), most)
        for index, count in chosen
    )
    return Demand(spells, len(everything), lasts_s, begins_minute)


def _strata(ordered: Sequence[int], spells: int) -> Iterator[tuple[int, int]]:
    """Of spells by their weight those that stand for all of them, and each for how many."""
    others = ordered[:-1]
    yield ordered[-1], 1
    strata = min(len(others), max(1, round(STRATA * len(others) / spells)))
    for stratum in range(strata):
        begin, end = stratum * len(others) // strata, (stratum + 1) * len(others) // strata
        yield others[(begin + end) // 2], end - begin


def _tokens(sessions: Iterable[SimSession]) -> int:
    return sum(
        turn.prompt_tokens + turn.output_tokens for session in sessions for turn in session.turns
    )


def _spell(
    sessions: list[SimSession], begins_s: float, lasts_s: float, weight: float, most: int
) -> Spell:
    origin_ns = int(begins_s * NS_PER_S)
    if len(sessions) > most:
        lasts_s = (sessions[most].at_ns - origin_ns) / NS_PER_S
    moved = tuple(
        replace(session, at_ns=max(0, session.at_ns - origin_ns)) for session in sessions[:most]
    )
    return Spell(moved, begins_s, max(1.0, lasts_s), weight)
