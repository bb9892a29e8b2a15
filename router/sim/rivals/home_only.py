"""Never leave home: what the fleet would do without any rented site."""

from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, SiteKind
from router.sim.rivals.dynamo_kv import DynamoKv


class HomeOnly(DynamoKv):
    """The best rival for one cluster, tuned Dynamo, which sees the home endpoints alone."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(scale=8.0, credit=2.0)
        self._home = frozenset(site.name for site in fleet.sites if site.kind is SiteKind.HOME)

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """A rented endpoint does not exist."""
        if endpoint.site in self._home:
            super().on_endpoint_up(endpoint, now)
