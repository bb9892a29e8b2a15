"""What a cluster is to be told so that it runs what a site keeps: one step at a time.

Ray Serve stops whichever replicas it likes best to: those that do not run yet, then those off the
head node, on the nodes with the fewest replicas, the newest first. It cannot be told which. So what
it would stop is what is lent: turns stay away from that first, and Serve is told to run fewer only
once no stream is left there. Should it stop another one, that one says that it drains, and its
streams go on elsewhere as from any replica that goes.

Taking back begins with Serve: it is told at once, so that replicas return wherever there is room.
Where there is none, the jobs that borrow have their grace to end by themselves, and then are told
to, the latest first and one at a time, for as long as replicas find no place. The rejected
alternative, to end the jobs first and tell Serve then, ends jobs that are in nobody's way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from router.policy.units import NS_PER_S

CHECKPOINT_MAX_NS: Final = 900 * NS_PER_S
"""What a job may take to end before the next is told to as well. Ray kills it at a time of its own,
which is the job's to set."""


PLACE_MAX_NS: Final = 60 * NS_PER_S
"""In which a replica finds its place where there is room, once every grace is over."""


@dataclass(frozen=True, slots=True)
class ServeReplica:
    """A replica as Ray Serve lists it."""

    endpoint: str  # its name here; empty until it has an address
    node: str  # empty until it has a place
    started_ns: int
    runs: bool


@dataclass(frozen=True, slots=True)
class Borrower:
    """A job that runs on what is lent, by its own word."""

    job: str
    started_ns: int


@dataclass(frozen=True, slots=True)
class ServeSight:
    """What a cluster says of the application that a site's replicas belong to."""

    configured: int  # replicas by its config, with nothing lent
    target: int  # that Serve is to run
    replicas: tuple[ServeReplica, ...]
    stopping: int = 0
    head_node: str = ""

    @property
    def listed(self) -> int:
        """Replicas that have not gone, those that are being stopped included."""
        return len(self.replicas) + self.stopping

    @property
    def placed(self) -> int:
        """Replicas that have a place, whether they run or still load."""
        return sum(bool(one.node) for one in self.replicas)


@dataclass(frozen=True, slots=True)
class Scale:
    """Have Serve run so many."""

    replicas: int


@dataclass(frozen=True, slots=True)
class EndJob:
    """Tell a job to write its checkpoint and to end."""

    job: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, for now."""


Step = Scale | EndJob | Wait


def goes_first(sight: ServeSight) -> tuple[str, ...]:
    """The endpoints in the order in which Serve would stop their replicas."""
    on_node: dict[str, int] = {}
    for one in sight.replicas:
        on_node[one.node] = on_node.get(one.node, 0) + 1
    running = sorted(
        (one for one in sight.replicas if one.runs and one.endpoint),
        key=lambda one: (
            one.node == sight.head_node,
            on_node[one.node],
            one.node,
            -one.started_ns,
            one.endpoint,
        ),
    )
    return tuple(one.endpoint for one in running)


def next_step(
    sight: ServeSight,
    lent: int,
    streams: int,
    borrowers: Sequence[Borrower],
    told_ns: Mapping[str, int],
    taken_back_ns: int | None,
    grace_ns: int,
    now: int,
) -> Step:
    """What to do now about a site that lends so many, with so many streams where it lends.

    `told_ns` says which jobs were told to end, and when; `taken_back_ns` since when replicas are to
    come back. Times are of any monotonic clock.
    """
    kept = max(0, sight.configured - lent)
    if sight.target < kept:
        return Scale(kept)
    if sight.target > kept:
        # More than is configured was somebody else's word, and is no loan to be carried out.
        return Scale(kept) if lent and not streams else Wait()
    if sight.placed >= kept or taken_back_ns is None or now - taken_back_ns < grace_ns:
        return Wait()
    untold = [one for one in borrowers if one.job not in told_ns]
    told = [told_ns[one.job] for one in borrowers if one.job in told_ns]
    if not untold or any(now - at < CHECKPOINT_MAX_NS for at in told):
        return Wait()
    return EndJob(max(untold, key=lambda one: (one.started_ns, one.job)).job)


def overdue(
    sight: ServeSight,
    lent: int,
    borrowers: Sequence[Borrower],
    told_ns: Mapping[str, int],
    taken_back_ns: int | None,
    grace_ns: int,
    now: int,
) -> str:
    """Why replicas do not come back though all was done that may be, in a sentence; else nothing.

    The arguments are those of `next_step`, once it has nothing to do.
    """
    missing = max(0, sight.configured - lent) - sight.placed
    if missing <= 0 or taken_back_ns is None or now - taken_back_ns < grace_ns + PLACE_MAX_NS:
        return ""
    running = [one.job for one in borrowers]
    if not running:
        return (
            f"there is no room for {missing} of its replicas, and no job there says that it"
            " borrows: something else has taken it (`ray status`)"
        )
    at = {job: told_ns.get(job) for job in running}
    if any(told is None or now - told < CHECKPOINT_MAX_NS for told in at.values()):
        return ""
    return (
        f"there is no room for {missing} of its replicas, and the job {running[0]} was told to end"
        f" more than {CHECKPOINT_MAX_NS // (60 * NS_PER_S)} min ago and runs on:"
        " lower its RAY_JOB_STOP_WAIT_TIME_S, or end its processes"
    )
