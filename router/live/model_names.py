"""The names of models beside those that endpoints say: what the fleet file has versions serve."""

from collections.abc import Iterable, Sequence

from router.policy.rollout import Rollout


class ModelNames:
    """What clients may ask for, of what endpoints serve."""

    def __init__(self, rollouts: Iterable[Rollout] = ()) -> None:
        self._versions: dict[str, tuple[str, ...]] = {}  # by each name that they serve
        self._names: dict[str, tuple[str, ...]] = {}  # by each version
        self.adopt(rollouts)

    def adopt(self, rollouts: Iterable[Rollout]) -> None:
        """The fleet has these."""
        self._versions.clear()
        self._names.clear()
        for one in rollouts:
            self._versions.update(dict.fromkeys(one.names, one.versions))
            for version in one.versions:
                self._names[version] = (*self._names.get(version, ()), *one.names)

    def beside(self, served: Sequence[str]) -> Sequence[str]:
        """An endpoint's own names, and those that it is asked for by as a version of them."""
        if not self._names:
            return served
        more = (name for one in served for name in self._names.get(one, ()))
        return tuple(dict.fromkeys((*served, *more)))

    def versions_of(self, model: str) -> tuple[str, ...]:
        """What serves a name, the standing version first; itself where nothing else does."""
        return self._versions.get(model, (model,))
