"""What an endpoint runs, as far as it decides whether a stream may go on there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Digests of what an endpoint runs. An empty one is unknown, and equal to nothing."""

    weights: str = ""
    tokenizer: str = ""
    numerics: str = ""  # what rounds differently: engine, dtype, attention, parallelism, device
    restores: tuple[str, ...] = ()  # features of a request that it restores when it continues one
    adapters: tuple[tuple[str, str], ...] = ()  # the digest of each by its name

    @property
    def is_known(self) -> bool:
        """Whether it says which model it is."""
        return bool(self.weights and self.tokenizer)

    def is_like(self, other: "EngineIdentity") -> bool:
        """Whether both run the same model: what one has said, the other may go on with."""
        return self.is_known and self.weights == other.weights and self.tokenizer == other.tokenizer

    def rounds_like(self, other: "EngineIdentity") -> bool:
        """Whether both would say the very same, token by token, when decoding greedily."""
        return self.is_like(other) and bool(self.numerics) and self.numerics == other.numerics

    def adapter(self, name: str) -> str:
        """The digest of an adapter; empty where it is not known."""
        return next((digest for known, digest in self.adapters if known == name), "")


UNKNOWN = EngineIdentity()
