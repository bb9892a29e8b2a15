"""A reload of several processes: each prepares, and once all have, each goes by the file."""

import asyncio

import pytest

from router.live.reloading import ReloadError
from spillway.fleet import load
from spillway.workers.all_or_none import AllOrNone, Share
from spillway.workers.words import Answer, Commit, Prepare
from tests.waiting import until

FILE = """
sites:
  home: {kind: home, endpoints: ["127.0.0.1:9"]}
slo_classes:
  chat: {ttft: 1s, itl: 60ms}
"""
OTHER = FILE.replace("60ms", "70ms")


class Fake:
    """A process that does as it is told, but for one word."""

    def __init__(self, name, fails=None, how="no", hangs=None):
        self.hangs = hangs  # with a commit, until this is set
        self.name = name
        self.is_serving = True
        self.fails, self.how = fails, how
        self.said = []

    async def ask(self, word, within_s):
        self.said.append(type(word))
        if self.hangs is not None and isinstance(word, Commit):
            await self.hangs.wait()
        if isinstance(word, self.fails or ()):
            if isinstance(self.how, Exception):
                raise self.how
            return Answer(1, self.how)
        return Answer(1, "")

    def start_with(self, file):
        self.said.append(file.digest)

    def kill(self):
        self.said.append("killed")


@pytest.fixture
def path(tmp_path):
    """A fleet file."""
    path = tmp_path / "fleet.yaml"
    path.write_text(FILE)
    return path


def reloads(path, *processes, **how):
    """Begins a reload of these, in their order."""
    made = AllOrNone(load(path))
    path.write_text(OTHER)
    shares = [Share(one, lambda file: file, lambda file: file) for one in processes]
    return made, made.reload(shares, **{"dry_run": False, **how})


async def test_all_prepare_before_any_goes_by_it(path):
    """And whoever is started from then on begins with it."""
    processes = Fake("one"), Fake("two")
    made, told = reloads(path, *processes)
    told = await told
    assert [change.key for change in told.changes] == ["slo_classes.chat.itl"]
    assert made.file.digest == told.digest
    assert [one.said for one in processes] == [[Prepare, told.digest, Commit]] * 2


@pytest.mark.parametrize("how", ["its keys are gone", OSError("ended"), TimeoutError()])
async def test_where_one_cannot_none_does(path, how):
    """Whether it says why, has ended or says nothing."""
    processes = Fake("one"), Fake("two", Prepare, how)
    made, told = reloads(path, *processes)
    before = made.file
    with pytest.raises(ReloadError, match=how if isinstance(how, str) else "two does not answer"):
        await told
    assert made.file is before
    assert [one.said for one in processes] == [[Prepare]] * 2


async def test_who_is_being_started_is_waited_for_by_whoever_asks(path):
    """It may begin with either file."""
    away = Fake("two")
    away.is_serving = False
    one = Fake("one")
    _, told = reloads(path, one, away)
    with pytest.raises(ReloadError, match="two is being started: try again"):
        await told
    assert one.said == []


@pytest.mark.parametrize("how", ["nothing is prepared", OSError("ended"), TimeoutError()])
async def test_who_does_not_go_by_it_is_started_again_with_it(path, how):
    """The others have gone by it, so there is no way back."""
    processes = Fake("one", Commit, how), Fake("two")
    _, told = reloads(path, *processes)
    digest = (await told).digest
    assert processes[0].said == [Prepare, digest, Commit, "killed"]
    assert processes[1].said == [Prepare, digest, Commit]


async def test_who_hangs_keeps_no_other_from_the_file(path):
    """But for the last one, which knows of what the others have to know first."""
    go_on = asyncio.Event()
    slow, other, last = Fake("slow", hangs=go_on), Fake("other"), Fake("last")
    _, told = reloads(path, slow, other, last)
    told = asyncio.ensure_future(told)
    await until(lambda: Commit in other.said)
    assert Commit not in last.said
    go_on.set()
    await told
    assert Commit in last.said


async def test_a_dry_run_has_all_prepare_and_no_more(path):
    """So that what would be refused is said."""
    one = Fake("one")
    made, told = reloads(path, one, dry_run=True)
    told = await told
    assert (told.applied, len(told.changes), one.said) == (False, 1, [Prepare])
    assert made.file.digest != told.digest
