"""Secrets of real processes, which log, refuse, fail and crash: none is where others look."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
import yaml

from router.live.key_file import line_of
from router.policy.api_key import ApiKey, digest_of, id_of, key_text
from tests.attack.programs import Program
from tests.attack.scene import STREAM, ask, bearer, called
from tests.waiting import DEADLINE_S, wait_until

KEY = key_text(b"acme--", "AcmeSecret" * 4 + "xyz")
OPS = key_text(b"ops---", "OpsSecret9" * 4 + "xyz")
LEASE, AUDIT, STORE = "leasesecret" * 4, "auditsecret" * 4, "storesecret" * 2
TRACES, LEDGER, PROMPT = "tracesecret" * 2, "ledgersecret" * 2, "promptsecret"
SECRETS = {
    "an API key": KEY.rpartition("_")[2],
    "an operator's key": OPS.rpartition("_")[2],
    "the key of leases": LEASE,
    "what seals the audit log": AUDIT,
    "the password of the store": STORE,
    "what the collector of traces wants": TRACES,
    "the password of the ledger": LEDGER,
    "a prompt": PROMPT,
}
CHAT = "/v1/chat/completions"
SAYS_ALL = {
    "PYTHONFAULTHANDLER": "1",
    "PYTHONDEVMODE": "1",
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TRACES}",
    "PGPASSWORD": LEDGER,
}


def fleet_file(folder, engine):
    """A router with every secret that there is, of which each is in a file of its own."""
    for name, text in (("leases", LEASE), ("seal", AUDIT), ("store", STORE)):
        (folder / name).write_text(text)
    (folder / "keys").write_text(
        "".join(
            line_of(ApiKey(id_of(text), digest_of(text), name, operator=name == "ops")) + "\n"
            for name, text in (("acme", KEY), ("ops", OPS))
        )
    )
    listens = dict.fromkeys(("listen", "metrics_listen", "openai_listen"), "127.0.0.1:0")
    file = {
        "sites": {"home": {"kind": "home", "endpoints": [engine]}},
        "slo_classes": {"chat": {"ttft": "60s", "itl": "60s"}},
        "tenants": {"acme": {"requests_per_minute": 100_000}, "ops": {}},
        "router": {
            **listens,
            "lease_key_file": str(folder / "leases"),
            "authentication": {"keys_file": str(folder / "keys")},
            "audit": {"path": str(folder / "audit"), "secret_file": str(folder / "seal")},
            "decision_log": {"path": str(folder / "decisions")},
            "store": {"url": "redis://127.0.0.1:1/0", "password_file": str(folder / "store")},
            "log": {"format": "json"},
            "tracing": {"endpoint": "http://127.0.0.1:1"},
        },
    }
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(file))
    return path


def asked(url, body=None, **headers):
    """What HTTP answers, whatever it is."""
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def family(pid):
    """A process and those that it has started."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def shown(program):
    """What the machine's other users see of a program."""
    for pid in family(program.process.pid):
        for name in ("cmdline", "comm"):
            with contextlib.suppress(OSError):
                yield f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes()


def abused(router, grpc_address):
    """Everything that a caller is told while it does it wrong, with good keys at bad places."""
    page, openai = router.address("Metrics at"), router.address("OpenAI's API at")
    told = []
    with grpc.insecure_channel(grpc_address) as channel:
        for metadata in (
            bearer(KEY),
            bearer(KEY[:-1]),
            bearer(f"{KEY} {OPS}"),
            (("authorization", KEY),),
            (("authorization", f"Basic {KEY}"),),
            (*bearer(KEY), ("x-spillway-tenant", "ops")),
        ):
            for method in (STREAM, "/spillway.v1.Fleet/Drain", "/vllm.Control/GetModelInfo"):
                answer = called(channel, method, ask(PROMPT), metadata)
                told.append(f"{answer.details} {answer.trailers}")
        for method in ("/spillway.v1.Fleet/Watch", "/spillway.v1.Fleet/Reload"):
            told += map(repr, called(channel, method, b"", bearer(OPS), timeout=2).messages)
    key, ops = {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Bearer {OPS}"}
    for body in (b"{", b"[]", json.dumps({"messages": PROMPT}).encode()):
        told.append(asked(f"http://{openai}{CHAT}", body, **key))
    chat = {"model": "f", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 2}
    for sent in (key, {}, {"Authorization": f"Basic {KEY}"}):
        asked(f"http://{openai}{CHAT}?key={KEY}", json.dumps(chat).encode(), **sent)
    for path in ("/metrics", "/", "/feed", f"/{KEY}", f"/metrics?key={OPS}"):
        for sent in (key, ops, {}):
            told.append(asked(f"http://{page}{path}", **sent))
    return "\n".join(map(str, told))


@pytest.mark.parametrize("workers", [1, 2])
def test_no_secret_is_where_others_look(tmp_path, workers):
    """In no log, error, metric, page, process list or record; nor is it when a process crashes."""
    engine = Program(
        *(tmp_path, "engine", "serving.standalone", "engine=fake", "model=f", "log_format=json"),
        **SAYS_ALL,
        SPILLWAY_LEASE_KEYS=LEASE,
    )
    with engine:
        path = fleet_file(tmp_path, engine.address("serving f on"))
        arguments = ("spillway", "route", path, "--workers", workers)
        with Program(tmp_path, "router", *arguments, **SAYS_ALL) as router:
            address = router.address(r"Router(?: of \d workers)? at")
            with grpc.insecure_channel(address) as channel:
                wait_until(lambda: called(channel, STREAM, ask(PROMPT), bearer(KEY)).messages)
            told = {"what callers are told": abused(router, address).encode()}
            for program in (engine, router):
                told |= dict(shown(program))
            whole = path.read_text()
            path.write_text(whole.replace("kind: home", "kind: nowhere"))
            router.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "nowhere" in router.said or "expected" in router.said)
            engine.process.kill()
            with grpc.insecure_channel(address) as channel:
                for _ in range(3):
                    called(channel, STREAM, ask(PROMPT), bearer(KEY), timeout=2)
            children = list(family(router.process.pid))
            for pid in reversed(children):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)
            router.process.wait(DEADLINE_S)
            assert "Fatal Python error: Aborted" in router.said
    for name in ("engine.log", "router.log", "decisions", "audit"):
        for file in tmp_path.glob(f"{name}*"):
            told[file.name] = file.read_bytes()
    assert len(told["router.log"]) > 1_000
    found = [
        (where, what)
        for where, text in told.items()
        for what, secret in SECRETS.items()
        if secret.encode() in text
    ]
    assert not found


@pytest.mark.parametrize(
    "arguments", [("route",), ("fleet", "check")], ids=["a start", "a look at the file"]
)
@pytest.mark.parametrize(
    "change",
    [
        {"store": {"url": f"redis://me:{STORE}@127.0.0.1:1/0"}},
        {"ledger": {"url": f"postgresql://me:{STORE}@127.0.0.1/ledger"}},
        {"ledger": {"url": f"postgresql://127.0.0.1/ledger?password={STORE}"}},
        {"store": {"url": "redis://127.0.0.1:1/0", "password": STORE}},
        {"lease_key_file": "short"},
        {"audit": {"path": "a", "secret_file": "short"}},
        {"authentication": {"keys_file": "short"}},
    ],
)
def test_a_secret_at_the_wrong_place_is_refused_and_not_repeated(tmp_path, arguments, change):
    """In a fleet file, which many read; and what is too short for one is not shown either."""
    (tmp_path / "short").write_text(STORE[:11])
    path = fleet_file(tmp_path, "127.0.0.1:1")
    file = yaml.safe_load(path.read_text())
    file["router"] |= change
    path.write_text(yaml.safe_dump(file))
    done = subprocess.run(
        [sys.executable, "-m", "spillway", *arguments, str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        timeout=DEADLINE_S,
        check=False,
    )
    said = done.stdout + done.stderr
    assert STORE[:11] not in said
    if arguments == ("route",):
        assert done.returncode
        assert "Traceback" not in said


def test_processes_with_secrets_leave_no_core(tmp_path):
    """Neither as a file nor through a pipe, which a limit of none at all would not keep from."""
    engine = Program(tmp_path, "engine", "serving.standalone", "engine=fake", "model=f")
    with engine:
        path = fleet_file(tmp_path, engine.address("serving f on"))
        with Program(tmp_path, "router", "spillway", "route", path) as router:
            router.address("Router at")
            for program in (engine, router):
                limits = Path(f"/proc/{program.process.pid}/limits").read_text()
                (line,) = (one for one in limits.splitlines() if "core file size" in one)
                assert line.split()[4] in {"0", "1"}
