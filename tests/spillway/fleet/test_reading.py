"""A fleet file becomes values, or every place that is wrong with it."""

from pathlib import Path

import pytest

from router.policy.fleet import Limits, Price, SiteKind
from router.policy.lending import DAYS, Lending, LendWindow, Reclaim
from router.policy.scale import AUTOSCALING, Autoscaling
from spillway.fleet import FleetError, FleetFile, load, read
from spillway.fleet.writing import write

EXAMPLE = Path(__file__).parents[3] / "deploy" / "fleet.example.yaml"

SMALLEST = """\
sites:
  cellar:
    kind: home
    endpoints: [127.0.0.1:9000]
slo_classes:
  interactive: {ttft: 800ms, itl: 60ms}
"""


def refusal(text: str | bytes) -> list[str]:
    """What is said of a file called f: line:column: path: message."""
    with pytest.raises(FleetError) as caught:
        read(text, "f")
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


def test_the_example_describes_three_sites():
    """The commented example is a fleet that a router could run."""
    file = load(EXAMPLE)
    assert [(site.name, site.kind) for site in file.fleet.sites] == [
        ("cellar", SiteKind.HOME),
        ("ridge", SiteKind.RENTED),
        ("harbour", SiteKind.RENTED),
    ]
    assert file.fleet.site("cellar").price == Price(committed_replicas=8)
    assert file.fleet.site("ridge").price == Price(1, 2.49, 0.08, 8.0, 2500.0)
    assert file.fleet.slo("").ttft_ns == 800_000_000
    assert file.fleet.slo("").ttft_objective_ns(1000) == 1_300_000_000
    assert file.access_to("harbour").endpoints == (
        "harbour-1.example.net:7070",
        "harbour-2.example.net:7070",
    )
    assert file.router.drain_timeout_s == 30.0
    assert file.serving_arguments("ridge") == {
        "model": "/models/Llama-3.1-8B-Instruct",
        "served_names": ["llama-3.1-8b", "default"],
        "replicas": 4,
        "vllm": {"max_model_len": 16384, "tensor_parallel_size": 2},
    }


def test_a_small_file_takes_the_defaults():
    """What a file leaves out is as the core and the router have it."""
    file = read(SMALLEST)
    assert file.fleet.limits == Limits()
    assert file.fleet.default_slo == "interactive"
    assert file == FleetFile(file.fleet, file.access)


def test_a_site_says_how_it_takes_back():
    """With its units; a site that is rented lends nothing, and so takes nothing back."""
    section = "    reclaim: {grace: 5min, worth_hourly: 2.50 USD/h}\n"
    text = SMALLEST.replace("[127.0.0.1:9000]\n", "[127.0.0.1:9000]\n" + section)
    assert read(text).fleet.site("cellar").reclaim == Reclaim(300 * 10**9, 2.5)
    assert read(write(read(text))).fleet.site("cellar").reclaim == Reclaim(300 * 10**9, 2.5)
    assert read(SMALLEST).fleet.site("cellar").reclaim == Reclaim()
    messages = refusal(text.replace("kind: home", "kind: rented"))
    assert any("sites.cellar.reclaim: only home lends" in one for one in messages)


def test_a_schedule_of_lending_counts_what_a_site_lists():
    """What Ray has there and what is listed by hand; without days, on each of them."""
    lend = "    lend:\n      - {replicas: 1, from: 22:00, until: 06:00}\n"
    two = SMALLEST.replace("[127.0.0.1:9000]\n", "[127.0.0.1:1, localhost:1]\n" + lend)
    lending = read(two).fleet.site("cellar").lending
    assert lending == Lending(2, (LendWindow(1, 22 * 60, 6 * 60, DAYS),))
    ray = two.replace(
        "lend:", "ray: {dashboard: http://127.0.0.1:8265}\n    capacity: {replicas: 3}\n    lend:"
    )
    assert read(ray).fleet.site("cellar").lending.replicas == 5
    (message,) = refusal(two.replace("22:00", "22:60"))
    assert message.startswith("6:29: sites.cellar.lend[0].from: expected a time of the day (UTC)")


def test_units_are_converted_to_the_core_s():
    """A limit in minutes reaches the core in nanoseconds."""
    file = read(f"{SMALLEST}limits: {{session_age_max: 2min, retry_ratio: 0.5}}\n")
    assert file.fleet.limits == Limits(session_age_max_ns=120_000_000_000, retry_ratio=0.5)


def test_how_quickly_sites_follow_demand_can_be_set():
    """As every duration is; what is left out has its default."""
    file = read(f"{SMALLEST}autoscaling: {{level: 30s, look: 2s}}\n")
    assert file.fleet.autoscaling == Autoscaling(30 * 10**9, 2 * 10**9)
    assert read(write(file)) == file
    assert read(SMALLEST).fleet.autoscaling == AUTOSCALING


def test_null_turns_off_what_can_be_off():
    """The metrics port can be left closed, by saying so."""
    assert read(f"{SMALLEST}router: {{metrics_listen: null}}\n").router.metrics_listen is None


def test_yes_and_no_are_text():
    """A region called NO is Norway, not false."""
    file = read(SMALLEST.replace("kind: home", "kind: home\n    region: NO"))
    assert file.fleet.site("cellar").region == "NO"


def test_every_problem_is_reported_with_its_place():
    """One look at the messages is enough to repair the whole file."""
    text = """\
sites:
  cellar:
    kind: homey
    ray: {dashbord: "http://10.0.0.5:8265"}
  cloud:
    kind: rented
    endpoints: [10.0.0.6]
    price: {metered: 2.49, budget_hourly: -5 USD/h}
slo_classes:
  interactive: {ttft: 3MiB, itl: 60ms, confidence: high}
router: {streams_max: 0}
"""
    assert refusal(text) == [
        "3:11: sites.cellar.kind: expected 'home' or 'rented', found 'homey'",
        "4:10: sites.cellar.ray.dashboard: this key is missing",
        "4:11: sites.cellar.ray.dashbord: unknown key; did you mean dashboard?",
        (
            "7:17: sites.cloud.endpoints[0]: expected an address as host:port,"
            " such as 10.0.0.5:7070, found '10.0.0.6'"
        ),
        "8:22: sites.cloud.price.metered: expected a rate such as 2.49 USD/h, found 2.49",
        (
            "8:43: sites.cloud.price.budget_hourly: expected a rate from 0 USD/h to 1000000 USD/h,"
            " found '-5 USD/h'"
        ),
        (
            "10:23: slo_classes.interactive.ttft: expected a duration such as 250ms, 2s or 30min,"
            " found '3MiB'"
        ),
        "10:52: slo_classes.interactive.confidence: expected a number, found 'high'",
        "11:23: router.streams_max: expected a number of at least 1, found 0",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: home",
            "kind: home\n    kind: home",
            "4:5: sites.cellar.kind: comes twice; it is also on line 3",
        ),
        ("    kind: home\n", "", "2:3: sites.cellar.kind: this key is missing"),
        ("ttft: 800ms, ", "", "6:16: slo_classes.interactive.ttft: this key is missing"),
        (
            "800ms",
            "0ms",
            "6:23: slo_classes.interactive.ttft: expected a duration above zero, found '0ms'",
        ),
        (
            "cellar",
            "é",
            (
                "2:3: sites.é: expected a name of at most 64 letters, digits, '.', '_' and '-',"
                " found 'é'"
            ),
        ),
        ("kind: home", "kind: !!str home", None),
        ("kind: home", "kind: !home home", "3:11: sites.cellar.kind: expected no tag, found !home"),
        ("sites:", "rooter: {}\nsites:", "1:1: rooter: unknown key; did you mean router?"),
    ],
)
def test_a_wrong_key_is_refused_by_its_place(old, new, message):
    """Line, column, path and what was expected, for each way a key can be wrong."""
    text = SMALLEST.replace(old, new)
    if message is None:
        assert read(text)
    else:
        assert refusal(text) == [message]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1:1: expected a fleet, found nothing"),
        (b"a: b\n\xff", "2:1: expected UTF-8 text"),
        (b"a: [b", "1:6: not YAML: expected ',' or ']', but got '<stream end>'"),
        (b"a: \x00", "1:1: not YAML: special characters are not allowed"),
        (b"a: &b [*b, *b]", "1:4: a: aliases expand too far"),
        (b"[" * 10_000, "1:33: not YAML: expected at most 32 levels"),
        (b"#" * 300_000, "1:1: expected a file of at most 256 KiB"),
        (b'"\\UFFFFFFFF"', "1:1: not YAML: Python int too large to convert to C int"),
        (b"- 1", "1:1: expected a mapping of keys to values, found a list"),
    ],
)
def test_what_is_no_fleet_is_refused_in_one_line(content, message):
    """Bytes of any kind are refused, within bounded time and memory."""
    assert refusal(content) == [message]


def test_a_file_that_cannot_be_opened_is_named():
    """The error says which file and why."""
    with pytest.raises(FleetError, match=r"absent\.yaml:1:1: cannot be read: No such file"):
        load(Path("absent.yaml"))


def test_engine_settings_are_checked_before_they_are_deployed():
    """What the replicas would refuse is refused here, at its line."""
    text = SMALLEST.replace("endpoints: [127.0.0.1:9000]", """ray: {dashboard: "http://127.0.0.1:1"}
    model: m
    serving:
      vllm: {tensor_paralel_size: 2, max_model_len: 1}
      replicas: 3""") + "models: {m: {source: /m}}\n"  # fmt: skip
    assert refusal(text) == [
        (
            "7:14: sites.cellar.serving.vllm.tensor_paralel_size: unknown key;"
            " did you mean tensor_parallel_size?"
        ),
        "7:53: sites.cellar.serving.vllm.max_model_len: expected a number of at least 2, found 1",
        "8:17: sites.cellar.serving.replicas: set the site's own key capacity instead",
    ]


@pytest.mark.parametrize("key", ["link", "direct"])
@pytest.mark.parametrize(("text", "used"), [("off", False), ("auto", True)])
def test_a_site_says_whether_links_and_direct_streams_are_used(key, text, used):
    """`off` is a word here, as written, and no is not one of the two."""
    named = SMALLEST.replace("    kind: home\n", f"    kind: home\n    {key}: {text}\n")
    file = read(named)
    assert [getattr(way, key) for way in file.access] == [used]
    assert read(write(file)) == file
    assert refusal(named.replace(f"{key}: {text}", f"{key}: no"))


def test_a_site_may_have_a_door():
    """An address as any other, unless clients do not go there at all."""
    named = SMALLEST.replace("    kind: home\n", "    kind: home\n    door: localhost:7443\n")
    file = read(named)
    assert [way.door for way in file.access] == ["localhost:7443"]
    assert read(write(file)) == file
    closed = named.replace("    kind: home\n", "    kind: home\n    direct: off\n")
    assert "door: no client goes there, since direct is off" in str(refusal(closed))


def test_a_tenants_terms_are_read_and_written_back():
    """A model is allowed with its aliases, and a ceiling may be below zero."""
    file = read(
        f"{SMALLEST}models: {{large: {{source: x, aliases: [big]}}}}\n"
        "tenants:\n  acme: {models: [large, a/b], adapters: [], slo_classes: [interactive],"
        " priority_ceiling: -3, streams_max: 2, requests_per_minute: 5}\n"
    )
    (tenant,) = file.fleet.tenants
    assert tenant.models == ("large", "big", "a/b")
    assert (tenant.adapters, tenant.slo_classes) == ((), ("interactive",))
    assert (tenant.priority_ceiling, tenant.streams_max) == (-3, 2)
    assert read(write(file)) == file


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ("{slo_classes: [fast]}", "tenants.a.slo_classes[0]: no class fast"),
        ("{models: large}", "tenants.a.models: expected a list"),
        (
            "{requests_per_minute: 0}",
            "tenants.a.requests_per_minute: expected a number of at least",
        ),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(terms, problem):
    """By the place."""
    (message,) = refusal(f"{SMALLEST}tenants: {{a: {terms}}}\n")
    assert problem in message
