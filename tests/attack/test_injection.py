"""Names that are made to do more than name: in logs, headers, terminals and paths."""

import re
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.attack.programs import Program
from tests.attack.raw import Http2, literal
from tests.attack.scene import GENERATE, KEYS, STREAM, ask, bearer, fleet_file
from tests.attack.test_credentials import said_by_http
from tests.attack.test_http_floods import exchanged, request, statuses
from tests.waiting import wait_until
from wire.spillway.v1.tokenizer_pb2 import ReadTokenizerRequest
from wire.vllm.control_pb2_grpc import ControlServicer, add_ControlServicer_to_server

CODES = grpc.StatusCode
ACME = bearer(KEYS["acme"])
LINE = "2026-01-01T00:00:00Z ERROR router: the key of acme is spw_x"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"

HOSTILE = [
    f"x\n{LINE}",
    f"x\r\n{LINE}",
    f"x\u2028{LINE}\x85{LINE}",
    ESCAPE,
    "x\0y",
    "%0d%0aSet-Cookie: a=b",
    "${jndi:ldap://127.0.0.1/a}",
    "{0.__class__}%s%n",
    "[link=http://evil]x[/link]",
    "x" * 256,
]
"""What a name might be made of."""


@pytest.mark.parametrize("field", ["request_id", "session_id", "model", "lora_name"])
def test_no_name_writes_a_line_of_the_log_or_draws_on_a_terminal(scene, field):
    """Whatever becomes of the request, each line of the log is the router's own."""
    for name in HOSTILE:
        answer = scene.call(STREAM, ask(**{field: name}), ACME)
        assert answer.code in {
            CODES.OK,
            CODES.INVALID_ARGUMENT,
            CODES.NOT_FOUND,
            CODES.PERMISSION_DENIED,
        }
        assert not any(character in answer.details for character in "\x1b\x9b\n\r\x07\0")
    log = scene.router.said
    assert not any(line.startswith(LINE[:20]) for line in log.splitlines())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", log)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"x-spillway-slo", CODES.INVALID_ARGUMENT),
        (b"x-request-id", CODES.INVALID_ARGUMENT),
        (b"session_id", CODES.INVALID_ARGUMENT),
        (b"x-spillway-cookie", CODES.OK),  # a hint: what is none is none
        (b"traceparent", CODES.OK),
    ],
)
def test_no_header_carries_another(scene, key, code):
    """Line ends, zeros and escapes within a value: refused, or passed on to nobody."""
    for value in (b"a\r\nx-spillway-tenant: ops", b"a\nb", b"a\0b", b"\x1b[2J", b"\xff\xfe"):
        wire = Http2(scene.tls(scene.address, alpn=("h2",)))
        auth = (b"authorization", f"Bearer {KEYS['acme']}".encode())
        wire.begin(1, GENERATE.encode(), auth, (key, value))
        wire.message(1, ask(tokens=1))
        wire.read_until(lambda one: 1 in one.statuses)
        wire.close()
        assert wire.statuses == {1: code.value[0]}


def test_no_http_header_is_made_of_what_a_client_said(scene):
    """Not with any of those that a router passes on."""
    for name in ("x-request-id", "x-session-id", "traceparent", "x-spillway-cookie"):
        told = f"{name}: a%0d%0aX-Evil: 1\u0085X-Evil: 1"
        answer = exchanged(scene, request("/v1/models", b"", told, method="GET"))
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"x-evil" not in head
        assert statuses(answer) == [200]


PATHS = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "f/../../../../etc/passwd",
    "\\\\host\\share",
    "f\0/etc/passwd",
    "~root/.ssh/id_rsa",
    "http://127.0.0.1:1/x",
    "f;cat /etc/passwd",
    "$(id)",
]
"""Names of models and adapters that would be something else to a file system or a shell."""


@pytest.mark.parametrize("field", ["model", "lora_name"])
def test_no_model_or_adapter_is_looked_for_by_its_name(scene, field):
    """It is in the list of what is served, or it is not there."""
    for name in PATHS:
        answer = scene.call(GENERATE, ask(**{field: name}), ACME)
        assert answer.code is CODES.NOT_FOUND
        assert "root:" not in answer.details


def test_no_tokenizer_or_model_is_read_by_a_path(scene):
    """Neither over gRPC, nor over HTTP in any spelling of it."""
    for name in PATHS:
        raw = ReadTokenizerRequest(model=name).SerializeToString()
        answer = scene.call("/spillway.v1.Tokenizer/ReadTokenizer", raw, ACME)
        assert answer.code is CODES.NOT_FOUND
    for path in (
        *("/v1/models/../../etc/passwd", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        *("/v1/models//etc/passwd", "/v1/models/f%00", "//etc/passwd", "/%2e%2e/etc/passwd"),
    ):
        status, body = said_by_http(scene, scene.openai, path, ACME)
        assert status in {400, 404}
        assert b"root:" not in body
    for path in (
        *("/page/../../server.py", "/page/..%2fserver.py", "/page/%2e%2e%2f%2e%2e%2fserver.py"),
        *("/page/server.py", "/page//etc/passwd", "/page/index.html%00.js", "/../server.py"),
    ):
        status, body = said_by_http(scene, scene.page, path)
        assert status in {400, 401, 404}
        assert b"import" not in body


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """The address of a router before an engine whose model's name draws on terminals."""
    folder = tmp_path_factory.mktemp("strange")
    name = f"f{ESCAPE}\t\n{LINE}[bold red]x[/]"
    engine = Program(folder, "engine", "serving.standalone", "engine=fake", f"model={name}")
    try:
        file = fleet_file(
            folder, {"home": {"kind": "home", "endpoints": [engine.address(r"\[/\] on")]}}
        )
        router = Program(folder, "router", "spillway", "route", file)
        try:
            yield router.address("Router at"), folder, router
        finally:
            router.end()
    finally:
        engine.end()


def test_no_name_draws_on_the_terminal_of_who_looks_at_the_fleet(strange):
    """Of a model that an engine named, or of what was asked for, in a terminal or a pipe."""
    address, folder, router = strange
    commands = {
        "status": ("status",),
        "top": ("top", "--count", "1"),
        "explain": ("explain", "7"),
        "refused": ("explain", "7", "--model", ESCAPE),
        "asked": ("generate", "7", "-n", "2", "--model", f"no\n{LINE}{ESCAPE}"),
        "quarantine": ("quarantine", "list"),
        "released": ("quarantine", "release", ESCAPE),
    }

    def said(name):
        asked = Program(folder, name, "spillway", *commands[name], "--address", address)
        asked.process.wait(60)
        return asked.said

    wait_until(lambda: "up" in said("status"))
    for name in commands:
        text = said(name)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), (name, text)
        assert not any(line.startswith(LINE[:20]) for line in text.splitlines()), (name, text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", router.said)


class _Refuses(ControlServicer):
    """A site that says no in somebody else's words."""

    def GetModelInfo(self, request, context):
        context.abort(CODES.PERMISSION_DENIED, f"no\n{LINE}\r\n{LINE}{ESCAPE}")


def test_no_site_writes_a_line_of_its_routers_log(scene, tmp_path):
    """With the words of its errors, which the router repeats to say why it does not reach it."""
    server = grpc.server(ThreadPoolExecutor(1))
    add_ControlServicer_to_server(_Refuses(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    home = {"kind": "home", "endpoints": [f"127.0.0.1:{port}"]}
    router = Program(tmp_path, "router", "spillway", "route", fleet_file(tmp_path, {"home": home}))
    try:
        wait_until(lambda: "the key of acme" in router.said)
    finally:
        router.end()
        server.stop(None).wait()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", router.said)
    assert not any(line.startswith(LINE[:20]) for line in router.said.splitlines())


def test_no_field_of_a_header_is_indexed_into_anothers_request(scene):
    """What one call put into its connection's table is not in the next call's headers."""
    wire = Http2(scene.tls(scene.address, alpn=("h2",)))
    auth = literal(b"authorization", f"Bearer {KEYS['acme']}".encode(), indexed=True)
    wire.begin_block(1, GENERATE.encode(), auth)
    wire.message(1, ask(tokens=1))
    wire.read_until(lambda one: 1 in one.statuses)
    assert wire.statuses[1] == 0
    wire.begin(3, GENERATE.encode())
    wire.message(3, ask(tokens=1))
    wire.read_until(lambda one: 3 in one.statuses)
    assert wire.statuses[3] == CODES.UNAUTHENTICATED.value[0]
    wire.close()
