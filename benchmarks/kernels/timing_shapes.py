"""The problems that `time` measures, and the least work each needs."""

from dataclasses import dataclass, replace

from kernels.spec import AttentionSpec


@dataclass(frozen=True, slots=True)
class Rows:
    """So many rows with equal lengths in tokens; `seq_len` includes the query."""

    count: int
    query_len: int
    seq_len: int


@dataclass(frozen=True, slots=True)
class Shape:
    """One problem.

    Attributes:
        name: as the table shows it.
        rows: in the order of the batch.
        kv_dtype: as `AttentionSpec` has it.
        window: tokens a query sees, 0 for all.
        shared: leading tokens that all rows have in common, in the same pages.
    """

    name: str
    rows: tuple[Rows, ...]
    kv_dtype: str = "same"
    window: int = 0
    shared: int = 0

    @property
    def query_lens(self) -> list[int]:
        """Of each row."""
        return [rows.query_len for rows in self.rows for _ in range(rows.count)]

    @property
    def seq_lens(self) -> list[int]:
        """Of each row."""
        return [rows.seq_len for rows in self.rows for _ in range(rows.count)]

    @property
    def is_prompt(self) -> bool:
        """Whether it is whole prompts alone, which kernels without a paged cache can do too."""
        return all(rows.query_len == rows.seq_len for rows in self.rows)

    @property
    def is_decode(self) -> bool:
        """Whether every row is one token."""
        return all(rows.query_len == 1 for rows in self.rows)

    def operations(self, spec: AttentionSpec) -> int:
        """Floating-point operations of both products, for the pairs that see each other."""
        pairs = sum(rows.count * _pairs(rows, self.window) for rows in self.rows)
        return 4 * spec.num_q_heads * spec.head_dim * pairs

    def bytes_read(self, spec: AttentionSpec) -> int:
        """Bytes of K and V that must be read once, a shared prefix once for all."""
        tokens = -self.shared * (len(self.seq_lens) - 1) if self.shared else 0
        for rows in self.rows:
            seen = rows.seq_len
            if self.window:
                seen = min(seen, self.window + rows.query_len - 1)
            tokens += rows.count * seen
        return tokens * spec.num_kv_heads * spec.kv_token_bytes

    def tiny(self) -> "Shape":
        """The same problem at lengths and counts that Triton's interpreter can afford."""
        rows = tuple(
            Rows(min(r.count, 8 if self.shared else 2), _small(r.query_len), _small(r.seq_len))
            for r in self.rows
        )
        return replace(self, rows=rows, window=_small(self.window), shared=min(self.shared, 256))


def _small(tokens: int) -> int:
    return tokens if tokens <= 1 else tokens // 128 + 3


def _pairs(rows: Rows, window: int) -> int:
    """Pairs of a query token and a key it sees, in one row."""
    before = rows.seq_len - rows.query_len
    if not window:
        return rows.query_len * before + rows.query_len * (rows.query_len + 1) // 2
    return sum(min(window, before + i + 1) for i in range(rows.query_len))


def _decode(count: int, seq_len: int) -> Shape:
    return Shape(f"decode {count} x {seq_len // 1024}k", (Rows(count, 1, seq_len),))


K = 1024
SHAPES: tuple[Shape, ...] = (
    *(Shape(f"prefill q{n}k", (Rows(1, n * K, n * K),)) for n in (2, 4, 8)),
    *(_decode(*s) for s in ((8, K), (16, 2 * K), (32, K), (64, 4 * K))),
    *(_decode(*s) for s in ((8, 16 * K), (8, 32 * K), (1, 32 * K))),
    Shape("mixed 2 x q2k + 8 x 1k", (Rows(8, 1, K), Rows(2, 2 * K, 2 * K))),
    Shape("mixed 1 x 128k + 63 x 1k", (Rows(1, 1, 128 * K), Rows(63, 1, K))),
    Shape("shared 32k x 64", (Rows(64, 1, 32 * K + 256),), shared=32 * K),
    Shape("unshared 32k x 64", (Rows(64, 1, 32 * K + 256),)),
    Shape("fp8 8 x 16k", (Rows(8, 1, 16 * K),), kv_dtype="fp8_e4m3"),
    Shape("window 1k of 8 x 16k", (Rows(8, 1, 16 * K),), window=K),
    Shape("window 1k of q8k", (Rows(1, 8 * K, 8 * K),), window=K),
)
