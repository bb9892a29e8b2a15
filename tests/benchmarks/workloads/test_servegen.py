"""ServeGen's clients are read from their archive and drawn from by their rates."""

import io
import tarfile

import pytest

from benchmarks.workloads.servegen import Lengths, read_clients, sessions
from benchmarks.workloads.traces import TraceError

TRACE = "0,0,0,,0,0\n600,{rate},1.0,{family},1.0,5.0\n1200,{rate},1.0,{family},1.0,5.0\n"
DATASET = (
    '{"0": {"input_tokens": "{100: 0.5, 300: 0.5}", "output_tokens": "{10: 1.0}"},'
    ' "900": {"input_tokens": "", "output_tokens": ""}}'
)


def archive(folder, files):
    path = folder / "clients.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"clients/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def path(tmp_path):
    return archive(
        tmp_path,
        {
            "chunk-0-trace.csv": TRACE.format(rate=0.1, family="Gamma"),
            "chunk-0-dataset.json": DATASET,
            "chunk-1-trace.csv": TRACE.format(rate=0.5, family="Weibull"),
            "chunk-1-dataset.json": DATASET,
            "chunk-2-trace.csv": "0,0,0,,0,0\n",
            "chunk-2-dataset.json": "{}",
        },
    )


def test_clients_that_ask_are_read_busiest_first(path):
    """A client without requests or without lengths is left out; empty windows too."""
    clients = read_clients(path)
    assert [client.name for client in clients] == ["client-1", "client-0"]
    assert clients[0].rate(600, 1800) == pytest.approx(0.5)
    assert clients[0].lengths_at(1200.0)[1] == Lengths((10,), (1.0,))


def test_requests_come_in_order_at_the_rate_that_is_asked(path):
    """Twenty minutes at 0.6 a second, the larger client doubled: about 1,320 requests."""
    found = list(
        sessions(
            read_clients(path),
            begin_s=600.0,
            end_s=1800.0,
            factor=lambda client, _at_s: 2.0 if client.name == "client-1" else 1.0,
            seed=1,
        )
    )
    assert 1100 < len(found) < 1500
    assert [s.at_s for s in found] == sorted(s.at_s for s in found)
    assert {s.turns[0].prompt_tokens for s in found} == {100, 300}
    share = sum(s.tenant == "client-1" for s in found) / len(found)
    assert share == pytest.approx(10 / 11, abs=0.03)


def test_what_is_no_archive_is_named(tmp_path):
    """The message has the path."""
    path = tmp_path / "broken.tar.xz"
    path.write_bytes(b"not an archive")
    with pytest.raises(TraceError, match=r"broken.tar.xz"):
        read_clients(path)


def test_a_broken_row_is_refused(tmp_path):
    """A trace row of too few fields cannot be read."""
    path = archive(tmp_path, {"chunk-0-trace.csv": "0,1\n", "chunk-0-dataset.json": "{}"})
    with pytest.raises(TraceError, match="not ServeGen"):
        read_clients(path)
