"""The documentation as a site: it builds without a warning, and asks nothing of a network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spillway import cli

ROOT = Path(__file__).resolve().parents[2]
FETCHED = re.compile(r"<(?:script|img|iframe|source)[^>]* src=\"https?:|<link[^>]* href=\"https?:")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site that was just built; a link that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_in_the_site_and_fetches_nothing(site):
    """Fonts, scripts and pictures are its own; a link that a reader follows may lead anywhere."""
    written = list((ROOT / "docs").rglob("*.md"))
    for path in written:
        assert (site / path.relative_to(ROOT / "docs").with_suffix(".html")).exists()
    pages = list(site.rglob("*.html"))
    assert not {page.name for page in pages if FETCHED.search(page.read_text())}


def test_the_front_page_is_the_readme(site):
    """Its links to documents lead to their pages, and its pictures are there."""
    text = (site / "index.html").read_text()
    assert 'href="page.html"' in text
    assert 'src="demo.png"' in text
    assert "docs/page.md" not in text


def test_the_reference_has_every_command_and_every_metric(site):
    """Both are asked of the code."""
    commands = (site / "reference" / "command.html").read_text()
    names = [one.name or one.callback.__name__ for one in cli.app.registered_commands]
    assert [name for name in names if f"spillway {name}" not in commands] == []
    metrics = (site / "reference" / "metrics.html").read_text()
    for name in ("spillway_ttft_seconds", "spillway_calls_total", "spillway_endpoint_kv_usage"):
        assert f"<code>{name}</code>" in metrics
    rows = re.findall(r"<tr>\s*<td><code>spillway_(?:lent|wanted)_.*?</tr>", metrics, re.DOTALL)
    assert len(rows) == 3
    assert all("<td>site</td>" in row for row in rows)
