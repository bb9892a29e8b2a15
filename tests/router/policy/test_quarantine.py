"""Who is blamed for a crash."""

from router.policy.fleet import Limits
from router.policy.quarantine import UNCLEAR_MAX_NS, Quarantine, Standing
from router.policy.request import Request
from router.policy.units import NS_PER_S

FREE, UNCLEAR, ALONE, OUT = (
    Standing.FREE,
    Standing.UNCLEAR,
    Standing.ALONE,
    Standing.QUARANTINED,
)


class Trial:
    """Crashes, told in order."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.quarantine = Quarantine(limits or Limits())
        self.now = 0

    def lose(self, endpoint: str, *prompts: str, got_nothing: bool = True) -> None:
        """An endpoint is lost with these in flight."""
        self.now += NS_PER_S
        for prompt in prompts:
            request = Request(prompt, "m", fingerprint=prompt)
            self.quarantine.on_failed(
                request, endpoint, f"{endpoint}-1", self.now, got_nothing=got_nothing
            )

    def crash(self, endpoint: str, *prompts: str, got_nothing: bool = True) -> None:
        """And is listed no more."""
        self.lose(endpoint, *prompts, got_nothing=got_nothing)
        self.quarantine.on_gone(endpoint, drained=False)

    def of(self, prompt: str) -> Standing:
        """The standing of a prompt."""
        return self.quarantine.standing(prompt, self.now)


def test_one_crash_is_held_against_nobody():
    """Engines die of many things."""
    trial = Trial()
    trial.crash("a", "p", "q")
    assert trial.of("p") is FREE


def test_the_only_one_at_two_crashes_is_quarantined():
    """Those that were at one of them are not."""
    trial = Trial()
    trial.crash("a", "poison", "x", "y")
    trial.crash("b", "poison", "z")
    assert trial.of("poison") is OUT
    assert {trial.of(other) for other in "xyz"} == {FREE}


def test_neighbours_at_both_crashes_are_tried_alone_and_cleared():
    """The last crash tells which of them it was."""
    trial = Trial()
    trial.crash("a", "poison", "x", "y")
    trial.crash("b", "poison", "x", "y")
    assert {trial.of(one) for one in ("poison", "x", "y")} == {ALONE}
    trial.quarantine.on_ok("x")
    assert trial.of("x") is FREE
    trial.crash("c", "poison", "stranger")
    assert trial.of("poison") is OUT
    assert trial.of("y") is ALONE
    assert trial.of("stranger") is FREE
    trial.quarantine.on_ok("y")
    assert trial.of("y") is FREE


def test_streams_that_had_begun_at_the_first_crash_are_suspected_less():
    """They go on at the next endpoint together with the poison, and it dies under them, too."""
    trial = Trial()
    trial.lose("a", "stream", got_nothing=False)
    trial.crash("a", "poison")
    trial.crash("b", "poison", "stream")
    assert trial.of("poison") is OUT
    trial.quarantine.refuse("poison", trial.now)
    assert trial.of("stream") is FREE
    trial.crash("c", "stream")
    assert trial.of("stream") is FREE  # the crashes before were not its


def test_a_link_that_comes_back_with_the_same_instance_is_held_against_nobody():
    """However many streams it broke, and however often."""
    trial = Trial()
    for _ in range(5):
        trial.lose("a", "p", "q")
        trial.quarantine.on_report("a", "a-1", trial.now + NS_PER_S)
    assert len(trial.quarantine) == 0


def test_a_new_instance_is_a_crash():
    """Under the old name, too."""
    trial = Trial()
    for number in (2, 3):
        trial.lose("a", "p")
        trial.quarantine.on_report("a", f"a-{number}", trial.now)
    assert trial.of("p") is OUT


def test_until_it_is_known_what_a_loss_was_a_suspect_waits():
    """A report on its way at the time of the loss says nothing."""
    trial = Trial()
    trial.lose("a", "p")
    trial.lose("b", "p")
    assert trial.of("p") is UNCLEAR
    trial.quarantine.on_report("b", "b-1", trial.now + 1)
    assert trial.of("p") is UNCLEAR
    assert trial.quarantine.unclear(trial.now) == []
    trial.now += UNCLEAR_MAX_NS
    assert trial.quarantine.unclear(trial.now) == ["a", "b"]
    trial.quarantine.assume("a", crashed=True)
    trial.quarantine.assume("b", crashed=False)
    assert trial.of("p") is FREE


def test_a_stream_that_had_got_on_is_not_to_blame_for_the_second_crash():
    """Two engines that are killed one after the other make no poison of a long stream."""
    trial = Trial()
    trial.crash("a", "long", got_nothing=False)
    trial.crash("b", "long", got_nothing=False)
    assert trial.of("long") is FREE


def test_a_drained_endpoint_has_not_crashed():
    """It was taken away."""
    trial = Trial()
    for name in ("a", "b"):
        trial.lose(name, "p")
        trial.quarantine.on_gone(name, drained=True)
    assert trial.of("p") is FREE


def test_a_prompt_that_many_send_clears_itself():
    """It is in flight everywhere, so at every crash; and it ends well everywhere else."""
    trial = Trial()
    for name in ("a", "b", "c"):
        trial.crash(name, "popular")
        trial.quarantine.on_ok("popular")
    assert trial.of("popular") is FREE


def test_a_quarantine_ends_by_release_and_by_itself():
    """And is counted while it lasts."""
    trial = Trial(Limits(quarantine_ns=60 * NS_PER_S))
    for poison in ("p", "q"):
        trial.crash("a", poison)
        trial.crash("b", poison)
        assert trial.quarantine.refuse(poison, trial.now).refused == 1
    trial.quarantine.on_ok("p")  # an answer that began before
    assert [one.fingerprint for one in trial.quarantine.quarantined()] == ["p", "q"]
    trial.quarantine.release("p")
    trial.quarantine.release("unknown")
    assert trial.of("p") is FREE
    trial.now += 61 * NS_PER_S
    assert trial.of("q") is FREE
    trial.quarantine.expire(trial.now)
    assert len(trial.quarantine) == 0
    assert trial.quarantine.count == 2


def test_the_table_is_bounded():
    """The longest unseen goes first."""
    trial = Trial(Limits(suspects_max=10))
    trial.crash("a", *(str(number) for number in range(100)))
    assert len(trial.quarantine) == 10
