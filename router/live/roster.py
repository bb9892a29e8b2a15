"""Which endpoints there are: those that discovery lists, and nothing that it does not."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from router.live import background
from router.live.endpoint import LiveEndpoint
from router.live.model_names import ModelNames
from router.policy.rollout import Rollout

OpenEndpoint = Callable[[str, str], LiveEndpoint]
"""Makes the endpoint of a site and an address, and begins to follow it."""


OnListed = Callable[[str, tuple[str, ...]], None]
"""Hears the addresses of a site whenever they are told."""


class Roster:
    """The listed endpoints by name; retired ones live on here until their last call is over."""

    def __init__(
        self,
        open_endpoint: OpenEndpoint,
        on_listed: OnListed | None = None,
        rollouts: Iterable[Rollout] = (),
    ) -> None:
        self._open_endpoint = open_endpoint
        self._on_listed = on_listed
        self.names = ModelNames(rollouts)
        self._listed: dict[str, LiveEndpoint] = {}
        self._retiring: dict[asyncio.Task[None], LiveEndpoint] = {}

    def __iter__(self) -> Iterator[LiveEndpoint]:
        return iter(self._listed.values())

    def __len__(self) -> int:
        return len(self._listed)

    def get(self, name: str) -> LiveEndpoint | None:
        """The listed endpoint of this name."""
        return self._listed.get(name)

    def open_at(self, name: str) -> LiveEndpoint | None:
        """The endpoint of this name, also where it is listed no more and its calls go on."""
        retiring = (e for e in self._retiring.values() if e.name == name)
        return self._listed.get(name) or next(retiring, None)

    @property
    def serves(self) -> bool:
        """Whether any endpoint takes requests."""
        return any(endpoint.follower.connected for endpoint in self._listed.values())

    def serving(self, model: str) -> list[LiveEndpoint]:
        """The endpoints that take requests for a model of this name; any model if it is empty.

        Of a name that versions serve, those of the standing one, if there are any.
        """
        return self._of(self.served_as(model))

    def served_as(self, model: str) -> str:
        """What endpoints call a model of this name: the first of its versions that is served."""
        versions = self.names.versions_of(model)
        if len(versions) == 1:
            return versions[0]
        return next((one for one in versions if self._of(one)), versions[0])

    def _of(self, model: str) -> list[LiveEndpoint]:
        return [
            endpoint
            for endpoint in self._listed.values()
            if endpoint.follower.connected
            and endpoint.follower.identity is not None
            and (not model or model in endpoint.follower.identity.names)
        ]

    def connected_at(self, site: str) -> int:
        """How many endpoints of a site take requests."""
        return sum(e.site == site and e.follower.connected for e in self._listed.values())

    def links_at(self, site: str) -> int:
        """How many endpoints of a site are reached over a link."""
        return sum(e.site == site and e.link.stands for e in self._listed.values())

    def link_sessions_at(self, site: str) -> int:
        """How many streams go over links to a site; also to endpoints that are listed no more."""
        endpoints = (*self._listed.values(), *self._retiring.values())
        return sum(e.link.sessions or 0 for e in endpoints if e.site == site)

    def set_site(self, site: str, addresses: Iterable[str]) -> None:
        """The addresses of a site are exactly these: opens what is new, retires what is not."""
        wanted = {f"{site}/{address}": address for address in addresses}
        if self._on_listed is not None:
            self._on_listed(site, tuple(wanted.values()))
        for name in [e.name for e in self._listed.values() if e.site == site]:
            if name not in wanted:
                self._listed[name].leave()
                self._retire(self._listed.pop(name))
        for name, address in wanted.items():
            if name not in self._listed:
                self._listed[name] = self._open_endpoint(site, address)

    def renew(self) -> None:
        """Takes a new channel to every endpoint that cannot be reached on its old one.

        Nothing is heard on it, or it is lost and has certificates that were replaced since.
        """
        for name, endpoint in list(self._listed.items()):
            if endpoint.follower.is_deaf:
                endpoint.leave()
            elif endpoint.is_outdated:
                endpoint.hand_over()  # it is known to be lost, and what is known of it goes on
            else:
                continue
            self._retire(endpoint)
            self._listed[name] = self._open_endpoint(endpoint.site, endpoint.address)

    def reopen(self, site: str) -> None:
        """Takes a new channel to every endpoint of a site: it is reached in another way."""
        for name, endpoint in list(self._listed.items()):
            if endpoint.site == site:
                endpoint.hand_over()
                self._retire(endpoint)
                self._listed[name] = self._open_endpoint(site, endpoint.address)

    async def close(self) -> None:
        """Ends every endpoint and every call."""
        endpoints = [*self._listed.values(), *self._retiring.values()]
        self._listed.clear()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints))

    def _retire(self, endpoint: LiveEndpoint) -> None:
        task = background.begin(endpoint.finish(), f"finish {endpoint.name}")
        self._retiring[task] = endpoint
        task.add_done_callback(self._retiring.pop)
