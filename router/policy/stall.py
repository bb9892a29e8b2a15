"""Whether streams that have fallen silent will ever go on.

Intuition. An engine gives each running stream a token a step. A silence of many steps is no slow
step, but how many is many depends on the engine: on how long its steps take beside so many streams,
on the prompts that it prefills between them, on how long a silence it has survived before. What
else speaks from the same place tells the rest. Reports that still come mean that the process lives
and the link carries; other streams that go on mean that the engine does.

Algorithm. The patience with an endpoint is

    max(0.4 s, 8 * expected time between tokens, 2.5 * longest silence of late)
        + one step of prefill + 2 round trips

and a stream that has been silent for longer is given up, where also

- nothing else of the endpoint speaks, no stream and no report: after the patience itself;
- reports come and no stream goes on: after 1.5 times the patience, since something there lives,
  and after thrice it where that is a router: it notices in half that time which of its endpoints is
  silent, and goes on elsewhere by itself;
- other streams go on: after 4 times the patience, and not before 30 s where requests wait for
  cache memory, because an engine short of it sets streams aside and takes them up again.

A request without a first token is waited for as promised (`due_ns`) and then like a stream. Where
the connection is known to be lost, half the patience is enough, and no more than 0.6 s: whoever was
asked and did not answer has had its chance.

A silence that has ended counts for no more than the patience there was with it: what was silent for
longer had failed and was healed, and says nothing of how long the engine's steps take.

A fixed timeout was rejected: one that a saturated engine survives is half a minute, and one that
notices a dead link within a second takes every long step for a failure. So were the gaps of each
stream alone: all streams of a batch stop together, and it is what they have in common that tells a
dead engine from a slow one.
"""

from typing import NamedTuple

from router.policy.units import NS_PER_MS, NS_PER_S

SILENCE_PRIOR_NS = 150 * NS_PER_MS  # survived by an endpoint of which nothing is known
_FLOOR_NS = 400 * NS_PER_MS  # a garbage collection, a scheduler's hiccup
_STEPS = 8
_LONGEST = 2.5
_ROUND_TRIPS = 2
_LIVES = 1.5
_ROUTES = 3.0
_OTHERS_GO_ON = 4
_SET_ASIDE_NS = 30 * NS_PER_S
_LOST = 0.5
_LOST_MAX_NS = 600 * NS_PER_MS


class Signs(NamedTuple):
    """What is known of an endpoint beside the silence of a stream. Times in nanoseconds."""

    itl_ns: float  # expected between two tokens, with what runs there now
    longest_ns: float  # silence that ended by itself, of late
    step_ns: float  # of prefill that may stand between two tokens
    rtt_ns: int  # a packet that is lost is sent again one or two of them later
    quiet_ns: int  # since any stream of this router there went on
    connected: bool
    reports: bool  # load reports come as they should
    waiting: bool  # requests wait there, and cache memory may be what they wait for
    routes: bool = False  # it is a router, which holds the same vigil over its own endpoints


def patience_ns(signs: Signs) -> float:
    """How long a stream may be silent where nothing else speaks."""
    lasts_ns = max(_FLOOR_NS, _STEPS * signs.itl_ns, _LONGEST * signs.longest_ns)
    return lasts_ns + signs.step_ns + _ROUND_TRIPS * signs.rtt_ns


def is_stalled(silent_ns: int, signs: Signs) -> bool:
    """Whether a stream that has been silent for so long is given up."""
    patience = patience_ns(signs)
    if not signs.connected:
        return silent_ns > min(_LOST * patience, _LOST_MAX_NS)
    if signs.quiet_ns < min(silent_ns, patience):
        others_ns = _OTHERS_GO_ON * patience
        return silent_ns > (max(others_ns, _SET_ASIDE_NS) if signs.waiting else others_ns)
    lives = _ROUTES if signs.routes else _LIVES
    return silent_ns > (lives * patience if signs.reports else patience)
