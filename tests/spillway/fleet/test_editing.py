"""A fleet file gets a site more, and stays as it is otherwise."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.fleet import FleetError, read
from spillway.fleet.editing import ChangedError, EditError, FleetText

EXAMPLE = Path(__file__).parents[3] / "deploy" / "fleet.example.yaml"
SITE = {
    "kind": "rented",
    "region": "eu-north",
    "endpoints": ["127.0.0.1:7070", "127.0.0.1:7072"],
    "price": {"metered": "2.49 USD/h"},
}
ACCEPTED = "i-accept-that-anyone-can-read-this"

STYLES = {
    "block": (
        "# ours\nsites:\n  a: # first\n    kind: home\n    endpoints:\n      - 127.0.0.1:1 # one\n"
        "\n# what in time means\nslo_classes:\n  b:\n    ttft: 1s # or so\n    itl: 1s\n"
    ),
    "wide": (
        "sites:\n    a:\n        kind: home\n        endpoints:\n        - 127.0.0.1:1\n"
        "slo_classes:\n    b: {ttft: 1s, itl: 1s}\n"
    ),
    "flow": "sites: {a: {kind: home, endpoints: ['127.0.0.1:1']}} # all\n"
    "slo_classes: {b: {ttft: 1s, itl: 1s}}\n",
    "sites last": (
        "slo_classes:\n  b: {ttft: 1s, itl: 1s}\nsites:\n  a:\n    kind: home\n"
        '    endpoints: ["127.0.0.1:1"]\n'
    ),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fleet.yaml"


def lines_of(text):
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("style", STYLES)
def test_a_site_is_added_and_no_other_line_is_touched(style, path):
    """Whatever the file looks like; in flow style, its line grows."""
    path.write_text(STYLES[style])
    text = FleetText(path)
    changed = text.with_site("ridge", SITE)
    file = text.read(changed)
    assert [one.name for one in file.fleet.sites] == ["a", "ridge"]
    assert file.fleet.sites[1].region == "eu-north"
    assert file.access_to("a") == text.file.access_to("a")
    if style != "flow":
        added = [line for line in text.difference(changed).splitlines() if line.startswith("+")]
        gone = [line for line in text.difference(changed).splitlines() if line.startswith("-")]
        assert len(gone) == 1, gone  # the head of the difference
        assert len(added) > len(SITE)
        kept = iter(lines_of(changed))
        assert all(line in kept for line in lines_of(STYLES[style]))  # all, in their order


def test_the_example_keeps_its_comments_and_the_site_stands_behind_the_others():
    """Two hundred lines of which none changes."""
    text = FleetText(EXAMPLE)
    changed = text.with_site("quarry", SITE)
    kept = iter(changed.splitlines())
    assert all(line in kept for line in EXAMPLE.read_text().splitlines())
    assert changed.index("quarry:") > changed.index("metered: 3.10 USD/h")
    assert changed.index("quarry:") < changed.index("\nmodels:")
    assert [one.name for one in text.read(changed).fleet.sites][-1] == "quarry"


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    region=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40),
)
def test_whatever_a_site_is_called_it_reads_back(name, region, tmp_path_factory):
    """Names that look like numbers, and text that looks like YAML."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    path.write_text(STYLES["block"])
    text = FleetText(path)
    if name == "a":
        return
    if not region.isprintable():
        return
    file = text.read(text.with_site(name, SITE | {"region": region}))
    assert file.fleet.site(name).region == region


def test_a_site_that_cannot_be_is_refused_with_its_place(path):
    """As in any fleet file, and nothing is written."""
    path.write_text(STYLES["block"])
    text = FleetText(path)
    with pytest.raises(
        FleetError, match=r"sites\.far\.endpoints\[0\]: 10\.0\.0\.5 is not this machine"
    ):
        text.read(text.with_site("far", SITE | {"endpoints": ["10.0.0.5:7070"]}))
    assert path.read_text() == STYLES["block"]


def test_it_is_written_whole_with_its_mode_and_through_links(path, tmp_path):
    """In the place of the file that a link leads to."""
    path.write_text(STYLES["block"])
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    text = FleetText(link)
    text.write(text.with_site("ridge", SITE))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(read(path.read_bytes()).fleet.sites) == 2
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_what_somebody_else_wrote_meanwhile_is_not_lost(path):
    """Whoever comes second is told."""
    path.write_text(STYLES["block"])
    text = FleetText(path)
    path.write_text(STYLES["wide"])
    with pytest.raises(EditError, match="was changed meanwhile"):
        text.write(text.with_site("ridge", SITE))
    assert path.read_text() == STYLES["wide"]


def test_of_two_who_change_a_file_at_once_one_is_told_to_look_again(path):
    """However close: nobody's site is lost."""
    path.write_text(STYLES["block"])
    names = [f"site{number}" for number in range(12)]
    barrier, refused = threading.Barrier(len(names)), []

    def add(name):
        text = FleetText(path)
        changed = text.with_site(name, SITE)
        barrier.wait()
        try:
            text.write(changed)
        except ChangedError:
            refused.append(name)

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = [one.name for one in FleetText(path).file.fleet.sites]
    assert sorted(there) == sorted({"a", *names} - {*refused})
    assert len(refused) == len(names) - 1
    assert [one.name for one in path.parent.iterdir()] == [path.name]
