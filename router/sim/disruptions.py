"""What befalls a simulated world by schedule: crashes, partitions, and capacity lent to other work.

- A crash loses all that a replica holds. The routers see its connections break; later it is back
  with a cold cache.
- A partition silences a site. Its streams break when the routers have waited long enough to notice.
- A site whose lease ends takes nothing new, finishes what it has, and is gone for good at the end.
- A site that arrives late is listed then for the first time.
- A lent replica takes nothing new, finishes what it has, and is taken away at a deadline;
  reclaimed, at its time or because overflow costs more than it is worth, it is back with a cold
  cache.
"""

from collections.abc import Callable, Mapping, Sequence

from router.policy.loan_worth import OverflowCost, to_take_back
from router.policy.outcome import End
from router.sim.clock import Clock
from router.sim.network import Network
from router.sim.plan import Lend, Partition, ReplicaFault, Scenario, SiteLease
from router.sim.policy import Policy
from router.sim.replica import Replica


class Disruptions:
    """Sets a scenario's schedule on the clock.

    `break_off` ends all attempts at a replica, heard by the routers at a given time.
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        replicas: Mapping[str, Replica],
        policies: Sequence[Policy],
        *,
        break_off: Callable[[Replica, int, End], None],
    ) -> None:
        self._clock, self._network = clock, network
        self._replicas, self._policies = replicas, policies
        self._break_off = break_off
        self._lent: dict[str, set[str]] = {}  # replicas by site
        self._worth: dict[str, float | None] = {}  # of each that was lent, by the hour
        self._costs: dict[str, OverflowCost] = {}
        self._listed_after_ns = 0

    def schedule(self, scenario: Scenario) -> None:
        """Set everything that the scenario plans."""
        self._listed_after_ns = scenario.listed_after_ns
        for fault in scenario.faults:
            self._clock.at(fault.at_ns, self._crash, fault)
        for partition in scenario.partitions:
            self._clock.at(partition.at_ns, self._cut, partition)
        for lend in scenario.lends:
            self._clock.at(lend.at_ns, self._lend, lend)
        for lease in scenario.leases:
            self._clock.at(max(0, lease.until_ns - lease.notice_ns), self._end_lease, lease)
            self._clock.at(lease.until_ns, self._leave, lease)

    # -- crashes ---------------------------------------------------------------------------------

    def _crash(self, fault: ReplicaFault) -> None:
        replica = self._replicas[fault.replica]
        replica.crash()
        now = self._clock.now
        heard_ns = now + self._network.way_ns(replica.site)
        self._break_off(replica, heard_ns, End.UNREACHABLE)
        self._clock.at(heard_ns, self._connection, replica, False)
        self._clock.at(now + fault.down_ns, self._restart, replica)

    def _restart(self, replica: Replica) -> None:
        replica.alive = True
        self._clock.at(self._clock.now + self._listed_after_ns, self._connection, replica, True)

    def _connection(self, replica: Replica, connected: bool) -> None:
        for policy in self._policies:
            policy.on_connection(replica.name, connected, self._clock.now)

    # -- partitions ------------------------------------------------------------------------------

    def _cut(self, partition: Partition) -> None:
        self._network.cut(partition.site)
        now = self._clock.now
        heals_ns = now + partition.down_ns
        self._clock.at(heals_ns, self._heal, partition)
        if partition.noticed_after_ns < partition.down_ns:
            self._clock.at(now + partition.noticed_after_ns, self._notice, partition)

    def _notice(self, partition: Partition) -> None:
        now = self._clock.now
        for replica in self._of(partition.site):
            self._break_off(replica, now, End.UNREACHABLE)
            self._connection(replica, connected=False)

    def _heal(self, partition: Partition) -> None:
        self._network.heal(partition.site)
        if partition.noticed_after_ns < partition.down_ns:
            for replica in self._of(partition.site):
                if replica.alive:
                    self._connection(replica, connected=True)

    def _of(self, site: str) -> list[Replica]:
        return [replica for replica in self._replicas.values() if replica.site == site]

    # -- leases ----------------------------------------------------------------------------------

    def _end_lease(self, lease: SiteLease) -> None:
        for policy in self._policies:
            policy.on_site_lease(lease.site, True, self._clock.now)

    def _leave(self, lease: SiteLease) -> None:
        for replica in self._of(lease.site):
            replica.crash()
            self._break_off(replica, self._clock.now, End.MOVED)
            self._connection(replica, connected=False)

    # -- lending ---------------------------------------------------------------------------------

    def _lend(self, lend: Lend) -> None:
        replica = self._replicas[lend.replica]
        self._lent.setdefault(replica.site, set()).add(replica.name)
        self._worth[replica.name] = lend.worth_usd_per_hour
        self._tell_lent(replica.site)
        at_ns = self._clock.now + lend.notice_ns
        if at_ns < lend.until_ns:
            self._clock.at(at_ns, self._hand_over, replica)
        self._clock.at(lend.until_ns, self._reclaim, replica)

    def weigh(self, spent_usd: float) -> None:
        """Ends loans that are worth less than overflow costs; so much was spent so far."""
        now = self._clock.now
        for site, lent in self._lent.items():
            worths = [self._worth[name] for name in lent if self._worth[name] is not None]
            cost = self._costs.setdefault(site, OverflowCost())
            if not worths:
                cost.forget()
                continue
            cost.add(spent_usd, now)
            back = to_take_back(len(lent), cost.usd_per_hour(spent_usd), worths[0])
            if back:
                cost.forget()
            for name in sorted(lent)[:back]:
                self._reclaim(self._replicas[name])

    def _hand_over(self, replica: Replica) -> None:
        if replica.name not in self._lent[replica.site]:
            return  # it was taken back before
        replica.crash()
        self._break_off(replica, self._clock.now, End.MOVED)
        self._connection(replica, connected=False)

    def _reclaim(self, replica: Replica) -> None:
        if replica.name not in self._lent[replica.site]:
            return
        if not replica.alive:
            replica.alive = True
            self._connection(replica, connected=True)
        self._lent[replica.site].discard(replica.name)
        self._tell_lent(replica.site)

    def _tell_lent(self, site: str) -> None:
        for policy in self._policies:
            policy.on_lend(site, tuple(sorted(self._lent[site])), self._clock.now)
