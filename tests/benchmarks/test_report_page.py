"""The report is one file that a browser shows without asking anybody for anything."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from benchmarks.report import Table
from benchmarks.report_page import Picture, add_options, picture, publish, write_page
from tests.router.faces.page.conftest import browser  # noqa: F401 - a fixture
from tests.trust.processes import replica
from tests.waiting import DEADLINE_S

ROOT = Path(__file__).resolve().parents[2]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "606060f80f0001040100b5c4d2ef0000000049454e44ae426082"
)


def written(tmp_path, **more):
    """A page, as text."""
    path = tmp_path / "deep" / "report.html"
    table = Table("A <b>table</b>", ("what", "figure"), [["<script>x</script>", "1 & 2"]], "a note")
    write_page(path, "A <i>title</i>", [table], {"rate": 2.0, "none": None}, **more)
    return path, path.read_text()


def test_what_it_says_is_text_whatever_it_is(tmp_path):
    """Nothing of a result is taken for HTML."""
    _, text = written(tmp_path, notes=["<img src=x>"])
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert not re.search(r"<script|<img|<i>|<b>", text)
    assert "1 &amp; 2" in text


def test_configuration_and_machine_stand_in_it(tmp_path):
    """With what was left out left out."""
    _, text = written(tmp_path)
    assert '<th scope="row">rate</th><td>2.0</td>' in text
    assert ">cores</th>" in text
    assert ">none</th>" not in text


def test_pictures_are_in_the_file_for_light_and_for_dark(tmp_path):
    """Their title is what they show, for who does not see them."""
    _, text = written(tmp_path, pictures=[Picture("Light & dark", PNG, PNG), Picture("One", PNG)])
    assert text.count("data:image/png;base64,") == 3
    assert text.count('media="(prefers-color-scheme: dark)"') == 1
    assert 'alt="Light &amp; dark"' in text


def test_a_picture_is_drawn_once_for_each():
    """In the colours of the page."""

    def draw(path):
        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([0, 1])
        figure.savefig(path)
        plt.close(figure)

    both, light = picture("x", draw), picture("x", draw, dark=False)
    assert both.light.startswith(b"\x89PNG")
    assert both.light != both.dark
    assert light.dark is None


def complaints_of(page):
    """What a page has asked for, and what its browser complains of."""
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return asked, complaints


@pytest.mark.slow  # a browser and three processes
def test_a_run_and_a_comparison_are_pages_for_a_browser(tmp_path, browser):  # noqa: F811 - see above
    """Of the real command; nothing is asked for and nothing complained of, in the dark, too."""
    with replica(**{"fake.itl_s": 0.001}) as engine:
        for name in ("a", "b"):
            command = [
                *(sys.executable, "-m", "benchmarks.serving", "--address", engine),
                *("--mode", "closed", "--sessions", "6", "--concurrency", "2", "--warmup", "0"),
                *("--bytes-per-token", "4", "--prompt-tokens", "8", "--output-tokens", "8"),
                *("--out", f"{tmp_path}/{name}.json", "--html", f"{tmp_path}/{name}.html"),
            ]
            subprocess.run(command, check=True, timeout=4 * DEADLINE_S, capture_output=True)
    command = [sys.executable, "-m", "spillway", "bench", "compare"]
    command += [f"{tmp_path}/a.json", f"{tmp_path}/b.json", "--html", f"{tmp_path}/c.html"]
    said = subprocess.run(
        command, check=True, timeout=4 * DEADLINE_S, capture_output=True, text=True
    )
    assert "TTFT p50, s" in said.stdout
    looks = ({"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}})
    for name, heading in (("a", "Serving at"), ("c", "b.json over a.json")):
        for look in looks:
            context = browser.new_context(**look)
            page = context.new_page()
            asked, complaints = complaints_of(page)
            page.goto(f"file://{tmp_path}/{name}.html")
            assert page.locator("h1").inner_text().startswith(heading)
            assert page.locator("table").count() >= 3
            broken = "Array.from(document.images).filter(one => !one.naturalWidth).length"
            assert page.evaluate(broken) == 0
            across = "document.documentElement.scrollWidth <= window.innerWidth"
            assert page.evaluate(across)
            context.close()
            assert all(url.startswith((f"file://{tmp_path}", "data:")) for url in asked)
            assert complaints == []


def test_every_command_that_writes_figures_writes_a_report(tmp_path):
    """With the same option; a command that is added has it, too."""
    lacking = [
        path.name
        for path in (ROOT / "benchmarks").rglob("*.py")
        if re.search(r"add_argument\(\s*\"--(out|json)\"", path.read_text())
        and not re.search(r"add_option\(|\"--html\"", path.read_text())
    ]
    assert lacking == []


def test_figures_and_report_go_where_they_are_asked_for(tmp_path):
    """And nowhere else."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    out, html = tmp_path / "figures.json", tmp_path / "report.html"
    table = Table("A table", ("what",), [["1"]])
    publish(parser.parse_args([]), "A title", {"a": 1}, [table])
    assert list(tmp_path.iterdir()) == []
    asked = parser.parse_args(["--out", str(out), "--html", str(html)])
    publish(asked, "A title", {"a": 1}, [table], ["It is so."])
    assert json.loads(out.read_text())["a"] == 1
    assert "<p>It is so.</p>" in html.read_text()
