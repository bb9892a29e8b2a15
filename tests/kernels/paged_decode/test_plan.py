"""The plan covers every KV tile of every row and head once, and balances within its bound."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from kernels.paged_decode.config import CHUNKS_MAX, DecodeConfig
from kernels.paged_decode.plan import Span, chunk_tiles, pieces, plan, row_span

BLOCK_N = 64


def _config(share_tiles_min: int, chunk_tiles_min: int) -> DecodeConfig:
    return DecodeConfig(
        block_m=16,
        block_n=BLOCK_N,
        m_tiles=1,
        num_stages=3,
        num_warps=4,
        ctas_per_sm=2,
        share_tiles_min=share_tiles_min,
        chunk_tiles_min=chunk_tiles_min,
        merge_unroll=4,
    )


tile_counts = st.lists(st.one_of(st.just(0), st.integers(1, 5), st.integers(1, 300)), max_size=12)
spans = tile_counts.map(lambda counts: [Span(3, 3 + count) for count in counts])
problems = st.tuples(spans, st.integers(1, 9), st.integers(1, 70))
balanced = st.integers(1, 4).map(lambda share: _config(share, 0))
invariant = st.tuples(st.integers(1, 4), st.integers(1, 8)).map(lambda sizes: _config(*sizes))
configs = st.one_of(balanced, invariant)


@given(problems, configs)
def test_every_tile_of_every_row_and_head_is_read_once(problem, config):
    """Nothing is left out and nothing is read twice, in either mode."""
    rows, heads, workers = problem
    read = defaultdict(list)
    for piece in pieces(plan(rows, heads, workers, config), heads, config):
        read[piece.row, piece.head].extend(range(piece.first, piece.last))
    wanted = {
        (row, head): list(range(span.tiles))
        for row, span in enumerate(rows)
        if span.tiles
        for head in range(heads)
    }
    assert {key: sorted(tiles) for key, tiles in read.items()} == wanted


@given(problems, balanced)
def test_no_worker_reads_more_than_an_equal_share(problem, config):
    """The bound is the best possible: the mean, rounded up, or the smallest share worth having."""
    rows, heads, workers = problem
    total = sum(span.tiles for span in rows) * heads
    bound = max(config.share_tiles_min, -(-total // workers))
    assert max(_loads(rows, heads, workers, config), default=0) <= bound


@given(problems, invariant)
def test_an_invariant_worker_reads_at_most_one_chunk_more(problem, config):
    """A chunk belongs to the share it begins in, so it may reach past the share's end."""
    rows, heads, workers = problem
    total = sum(span.tiles for span in rows) * heads
    longest = max((chunk_tiles(span.tiles, config) for span in rows if span.tiles), default=1)
    bound = max(config.share_tiles_min, -(-total // workers)) + longest - 1
    assert max(_loads(rows, heads, workers, config), default=0) <= bound


@given(problems, configs)
def test_pieces_are_numbered_in_token_order(problem, config):
    """Merging goes by index, so the index must follow the tokens and the count must be right."""
    rows, heads, workers = problem
    by_head = defaultdict(list)
    for piece in pieces(plan(rows, heads, workers, config), heads, config):
        by_head[piece.row, piece.head].append(piece)
    for found in by_head.values():
        found.sort(key=lambda piece: piece.first)
        assert [piece.index for piece in found] == list(range(found[0].count))
        assert {piece.count for piece in found} == {len(found)}


@given(problems, configs)
def test_partial_results_never_share_a_slot(problem, config):
    """Two pieces that both leave a partial result leave it in different places, within bounds."""
    rows, heads, workers = problem
    slots = [
        piece.slot
        for piece in pieces(plan(rows, heads, workers, config), heads, config)
        if piece.count > 1
    ]
    assert len(slots) == len(set(slots))
    limit = len(rows) * heads * CHUNKS_MAX if config.batch_invariant else 2 * workers
    assert all(0 <= slot < limit for slot in slots)


@given(problems, invariant, st.data())
def test_invariant_chunks_depend_on_the_sequence_alone(problem, config, data):
    """The same row alone, with another number of workers, has the same pieces."""
    rows, heads, workers = problem
    busy = [row for row, span in enumerate(rows) if span.tiles]
    if not busy:
        return
    row = data.draw(st.sampled_from(busy))
    alone = plan([rows[row]], heads, data.draw(st.integers(1, 70)), config)
    together = plan(rows, heads, workers, config)
    assert _ranges(alone, heads, config, 0) == _ranges(together, heads, config, row)


@given(
    st.integers(0, 2000), st.integers(0, 40), st.sampled_from([0, 1, 63, 64, 65, 500]), st.data()
)
def test_a_span_holds_every_visible_token_and_no_idle_tile(seq_len, query_len, window, data):
    """The first and the last tile each hold a token that some query token sees."""
    query_len = min(query_len, seq_len)
    span = row_span(seq_len, query_len, BLOCK_N, window)
    seen = {
        k
        for q in range(seq_len - query_len, seq_len)
        for k in range(max(0, q - window + 1) if window else 0, q + 1)
    }
    tiles = {k // BLOCK_N for k in seen}
    assert set(range(span.first, span.last)) == tiles


def _loads(rows, heads, workers, config):
    """Tiles read by each worker that has any."""
    loads = defaultdict(int)
    for piece in pieces(plan(rows, heads, workers, config), heads, config):
        loads[piece.worker] += piece.last - piece.first
    return list(loads.values())


def _ranges(planned, heads, config, row):
    """Where one row is cut."""
    return sorted(
        (piece.head, piece.first, piece.last)
        for piece in pieces(planned, heads, config)
        if piece.row == row
    )
