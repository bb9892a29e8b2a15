"""A few rows of every trace that the scenarios read, written by hand."""

import gzip
import io
import json
import tarfile

import pytest

AZURE_ROWS = 40


def _azure(path):
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for index in range(AZURE_ROWS):
        at = f"2023-11-16 18:17:{index:02d}.5000000"
        lines.append(f"{at},{500 + 97 * index % 4_000},{20 + index}")
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


def _mooncake(path):
    rows = [
        {
            "timestamp": 3_000 * (index // 4),
            "input_length": 512 * 8 + 100,
            "output_length": 50,
            "hash_ids": [0, *(100 * (index % 5) + block for block in range(7)), 10_000 + index],
        }
        for index in range(40)
    ]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def _servegen(path):
    trace = "".join(f"{at_s},1.0,1.0,Gamma,1.0,1.0\n" for at_s in range(76_200, 83_400, 600))
    lengths = {"0": {"input_tokens": "{800: 1.0}", "output_tokens": "{200: 0.5, 400: 0.5}"}}
    with tarfile.open(path, "w:xz") as tar:
        for client in range(3):
            for name, text in (("trace.csv", trace), ("dataset.json", json.dumps(lengths))):
                info = tarfile.TarInfo(f"chunk-{client}-{name}")
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))


def _week(folder):
    for name in ("code", "conv"):
        rates = "".join(f"{minute},3000\n" for minute in range(7, 10_080, 7))
        (folder / f"azure2024_{name}_requests_per_minute.csv").write_text(
            "minute,rpm_mid_scaled_to_true_total\n" + rates
        )
        for what, most in (("input", 4_000), ("output", 400)):
            (folder / f"azure2024_{name}_{what}_tokens_cdf.csv").write_text(
                f"tokens,cdf_pct_mid\n1,1\n{most},100\n"
            )


@pytest.fixture(scope="session")
def traces(tmp_path_factory):
    """A folder like the one of the public data."""
    folder = tmp_path_factory.mktemp("traces")
    for name in ("azure2023", "azure2024_digitised", "mooncake", "servegen_deepseek_r1"):
        (folder / name).mkdir()
    for kind in ("code", "conv"):
        _azure(folder / "azure2023" / f"AzureLLMInferenceTrace_{kind}.csv.gz")
    _mooncake(folder / "mooncake" / "conversation_trace.jsonl.gz")
    _servegen(folder / "servegen_deepseek_r1" / "deepseek-r1.tar.xz")
    _week(folder / "azure2024_digitised")
    return folder
