"""A cluster's Serve is asked through its dashboard, and every failure is one line."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from spillway.ray_serve import ApplicationStatus, RayServe, RayServeError


class Dashboard(ThreadingHTTPServer):
    """A dashboard that answers from `answers`, the last of them again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [(200, {"applications": {}})]
        self.asked: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Dashboard

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, json.loads(body) if body else None))
        answers = self.server.answers
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        text = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_DELETE = _answer  # noqa: N815  (the base class's names)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    server = Dashboard()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def listed(status: str, *states: str, message: str = "") -> dict[str, Any]:
    """An answer with one application whose replicas are in these states."""
    deployment = {"message": message, "replicas": [{"state": state} for state in states]}
    return {"applications": {"chat": {"status": status, "deployments": {"Replica": deployment}}}}


def test_the_config_is_put_and_waited_for(dashboard: Dashboard):
    """Each look at the application is reported until it runs."""
    dashboard.answers = [
        (200, ""),
        (200, {"applications": {}}),
        (200, listed("DEPLOYING", "STARTING")),
        (200, listed("RUNNING", "RUNNING")),
    ]
    serve = RayServe(dashboard.url)
    serve.deploy({"applications": []})
    seen: list[ApplicationStatus] = []
    serve.wait_until_running("chat", 30.0, seen.append)
    assert dashboard.asked[0] == ("PUT", {"applications": []})
    assert [(one.status, one.replicas_running) for one in seen] == [
        ("DEPLOYING", 0),
        ("RUNNING", 1),
    ]


def test_a_failed_application_says_why(dashboard: Dashboard):
    """Its deployment's message, on one line."""
    dashboard.answers = [(200, listed("DEPLOY_FAILED", message="ValueError:\n  no such model"))]
    with pytest.raises(RayServeError, match="chat failed: ValueError: no such model"):
        RayServe(dashboard.url).wait_until_running("chat", 30.0)


def test_an_application_that_is_too_slow_is_an_error(dashboard: Dashboard):
    """The last state seen is in it."""
    dashboard.answers = [(200, listed("DEPLOYING"))]
    with pytest.raises(RayServeError, match="does not serve after 0 s: it is DEPLOYING"):
        RayServe(dashboard.url).wait_until_running("chat", 0.01)


def test_a_refused_config_is_an_error(dashboard: Dashboard):
    """With what the dashboard said about it."""
    dashboard.answers = [(400, "1 validation error:\nimport_path")]
    with pytest.raises(RayServeError, match=r"Bad Request\): 1 validation error: import_path"):
        RayServe(dashboard.url).deploy({})


def test_a_refusal_without_words_is_its_status(dashboard: Dashboard):
    """Also one that HTTP's own list does not have, as a proxy's."""
    dashboard.answers = [(520, "")]
    with pytest.raises(RayServeError, match=r"refuses \(520\)$"):
        RayServe(dashboard.url).applications()


def test_who_does_not_speak_http_is_no_dashboard():
    """As the router's port, or SSH's."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        greeting = threading.Thread(target=greet)
        greeting.start()
        with pytest.raises(RayServeError, match="is not a Ray dashboard"):
            RayServe(f"http://127.0.0.1:{server.getsockname()[1]}").applications()
        greeting.join()


def test_an_unreachable_dashboard_is_an_error(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
):
    """A proxy meant for the internet is not asked for a cluster."""
    monkeypatch.setenv("http_proxy", dashboard.url)
    with pytest.raises(RayServeError, match=r"127\.0\.0\.1:1 cannot be reached: .*refused"):
        RayServe("http://127.0.0.1:1").applications()
    assert not dashboard.asked


def test_an_answer_that_is_no_serve_state_is_an_error(dashboard: Dashboard):
    """Somebody else may listen on the port."""
    dashboard.answers = [(200, "<html>")]
    with pytest.raises(RayServeError, match="is not a Ray dashboard"):
        RayServe(dashboard.url).applications()
