"""Whatever the bytes: a fleet or a FleetError; and a fleet survives being written and read."""

import string
from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from router.live.settings import (
    DecisionLog,
    LedgerSettings,
    RouterSettings,
    SiteAccess,
    SiteTls,
    TlsSettings,
)
from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass
from router.policy.lending import DAYS, Lending, LendWindow
from router.policy.rollout import Rollout
from spillway.fleet import Deployment, FleetError, FleetFile, Model, Problem, read, write
from spillway.fleet.source import dump, parse
from wire.tls.plaintext import ACCEPTED

EXAMPLE = (Path(__file__).parents[3] / "deploy" / "fleet.example.yaml").read_bytes()
WORDS = sorted({word.strip(":#-,.") for word in EXAMPLE.decode().split()} | {"", "null", "!!int"})

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(WORDS),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=20,
)


def only_refuses(content: bytes) -> None:
    """Reads it, and lets nothing but a FleetError with a message pass."""
    problems: tuple[Problem, ...] = ()
    try:
        read(content)
    except FleetError as error:
        problems = error.problems or (Problem("", 0, 0, (), ""),)
    assert all(one.line >= 1 and one.column >= 1 and one.message for one in problems)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_fleet_or_a_fleet_error(content):
    """Never another exception."""
    only_refuses(content)


@given(st.text(alphabet="ab:-[]{}&*!<>|%@?,#'\"\\ \n\tU0", max_size=60))
def test_any_yaml_syntax_gives_a_fleet_or_a_fleet_error(text):
    """Never another exception, from the parser's darker corners either."""
    only_refuses(text.encode())


@given(documents)
def test_any_document_gives_a_fleet_or_a_fleet_error(document):
    """Never another exception, for a document of known keys in wrong places."""
    only_refuses(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=30)
@given(st.data())
def test_a_damaged_fleet_gives_a_fleet_or_a_fleet_error(data):
    """Any word of the example may be replaced by any other."""
    words = EXAMPLE.split(b" ")
    place = data.draw(st.integers(0, len(words) - 1))
    words[place] = data.draw(st.sampled_from(WORDS)).encode()
    only_refuses(b" ".join(words))


names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=6)
ms = st.integers(1, 10_000_000).map(lambda value: value * 1_000_000)
seconds = st.integers(1, 10_000_000).map(lambda value: value / 1_000)
counts = st.integers(1, 1000)
shares = st.floats(0.01, 0.99)
usd = st.floats(0.001, 1000)
windows = st.builds(
    LendWindow,
    st.integers(1, 2),
    st.integers(0, 719),
    st.integers(720, 1440),
    st.sampled_from([DAYS, ("mon",), ("sat", "sun")]),
)


TLS = [
    TlsSettings(Path("r.pem"), Path("r.key"), Path("a.pem")),
    TlsSettings(Path("r.pem"), Path("r.key"), Path("a.pem"), ("spiffe://a/b", "front.example")),
]


def protections(site, endpoints):
    """The ways in which endpoints by hand may be reached."""
    tls = [SiteTls("ridge.example.org"), SiteTls("ridge", Path("a.pem"))]
    return [
        *(SiteAccess(site, endpoints=endpoints, direct=False, tls=one) for one in tls),
        SiteAccess(site, endpoints=endpoints, plaintext=ACCEPTED),
    ]


@st.composite
def fleet_files(draw: st.DrawFn) -> FleetFile:
    """Fleets of several sites, each key drawn."""
    found = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    lend = Lending(2, draw(st.lists(windows, min_size=1, max_size=3).map(tuple)))
    home = Site(found[0], SiteKind.HOME, draw(names), Price(committed_replicas=1))
    lends = draw(st.booleans()) and all(lend.lent(edge) <= 2 for edge in lend.edges())
    sites = [replace(home, lending=lend) if lends else home]
    for name in found[1:]:
        price = Price(
            1,
            draw(usd),
            draw(usd),
            draw(st.none() | usd),
            draw(st.none() | usd),
            committed_usd_per_replica_hour=draw(usd),
        )
        hardware = {"hardware": draw(st.just("") | names), "gpus": draw(st.integers(1, 16))}
        sites.append(Site(name, SiteKind.RENTED, draw(names), price, **hardware))
    models = tuple(
        Model(f"{name}-{place}", f"/{name}", draw(st.just(()) | st.just((f"alias-{place}",))))
        for place, name in enumerate(draw(st.lists(names, max_size=2)))
    )
    new = st.sampled_from([("", 0.0), ("new", 0.25)])
    rollouts = [Rollout(one.name, one.name, *draw(new), one.aliases) for one in models]
    deployments = []
    access = []
    for site in sites:
        if models and site.lending is None and draw(st.booleans()):
            model = draw(st.sampled_from(models)).name
            env = draw(st.just({}) | st.just({"env_vars": {"A": "1"}}))
            arguments = draw(st.just({}) | st.just({"vllm": {"max_model_len": 64}}))
            deployments.append(Deployment(site.name, model, draw(counts), arguments, env))
            url = f"http://{site.name}:8265"
            host = draw(st.none() | names)
            access.append(SiteAccess(site.name, url, draw(names), host, plaintext=ACCEPTED))
        else:
            endpoints = (f"{site.name}:1", f"{site.name}:2")
            access.append(draw(st.sampled_from(protections(site.name, endpoints))))
    classes = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    slo_classes = tuple(
        SloClass(
            *(name, draw(ms), draw(ms), draw(ms), draw(shares), draw(st.booleans())),
            stand_in=draw(st.just("") | names),
        )
        for name in classes
    )
    limits = Limits(
        sessions_max=draw(counts), session_age_max_ns=draw(ms), retry_ratio=draw(shares)
    )
    log = DecisionLog(draw(st.none() | names.map(Path)), draw(counts), draw(counts))
    metrics, openai = (draw(st.none() | st.just(address)) for address in ("h:2", "h:3"))
    router = RouterSettings(
        "h:1",
        metrics,
        openai,
        decision_log=log,
        health_listen=draw(st.sampled_from([None, "h:4"])),
        ledger=LedgerSettings(Path("l"), commit_s=draw(seconds))
        if draw(st.booleans())
        else LedgerSettings(),
        tls=draw(st.sampled_from(TLS)),
        discovery_interval_s=draw(seconds),
    )
    fleet = Fleet(tuple(sites), slo_classes, draw(st.sampled_from(classes)), limits)
    fleet = replace(fleet, rollouts=tuple(rollouts[: draw(st.integers(0, 2))]))
    return FleetFile(fleet, tuple(access), router, models, tuple(deployments))


@given(st.sampled_from(["08", "1e5", "0o7", "yes", "null", "~", "1_0", ".5", "-"]) | st.text())
def test_text_stays_text(text):
    """Whatever a parser of YAML 1.1 or 1.2 might take it for."""
    printable = "".join(character for character in text if character.isprintable())
    assert parse(dump({"key": printable}).encode(), "fleet.yaml").value == {"key": printable}


@settings(max_examples=25)
@given(fleet_files())
def test_a_written_fleet_reads_back_as_itself(file):
    """Nothing is lost or changed between values and text."""
    assert read(write(file)) == file
