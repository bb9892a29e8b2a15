"""The page in a real browser: engines and a router as processes, and Chromium in front of them."""

import contextlib
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count

import grpc
import pytest
from playwright.sync_api import sync_playwright

from benchmarks.page.browser import ARGUMENTS, MISSING, chromium
from tests.waiting import DEADLINE_S, wait_until
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria
from wire.vllm.inference_pb2_grpc import InferenceStub

ENGINE = """
import asyncio, sys
from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening
from serving.standalone import serve_standalone

async def main():
    speed = FakeSettings(itl_s=0.05, max_running=8, prefill_tokens_per_s=300)
    server = await serve_standalone(FakeEngine(speed), Listening(port=int(sys.argv[1])))
    await asyncio.Event().wait()
    await server.stop()

asyncio.run(main())
"""

FLEET = """
sites:
  home:
    kind: home
    region: zurich
    endpoints: ["127.0.0.1:{home}"]
  cloud:
    kind: rented
    region: ashburn
    endpoints: ["127.0.0.1:{cloud}"]
    price:
      metered: 3 USD/h
      budget_hourly: 50 USD/h
slo_classes:
  chat:
    ttft: 700ms
    itl: 500ms
default_slo: chat
router:
  listen: 127.0.0.1:{listen}
  metrics_listen: 127.0.0.1:{page}
"""


STAMPED = """(name) => {
  const mark = performance.getEntriesByName(name, "mark").at(-1);
  return mark && [(performance.timeOrigin + mark.startTime) / 1000, mark.detail];
}"""
"""What page.js stamps, by its name."""


@pytest.fixture(scope="module")
def browser():
    """One Chromium for a file of tests. `.ci/run` installs it for CI."""
    path = chromium()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Program:
    """A process that can be killed and started again where it was."""

    arguments: list[str]
    port: int
    child: subprocess.Popen | None = None

    def start(self):
        self.child = subprocess.Popen([sys.executable, *self.arguments])
        wait_until(self._listens)

    def _listens(self):
        assert self.child.poll() is None, f"{self.arguments[:2]} ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def kill(self):
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None


@dataclass
class Scene:
    """A home and a rented site, a router in front of them, and those who ask it."""

    ports: dict[str, int]
    home: Program
    cloud: Program
    router: Program

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ports['page']}/"

    @contextlib.contextmanager
    def surge(self):
        """A session begins with each call of what this gives; all end with it."""
        numbers = count()
        with grpc.insecure_channel(f"127.0.0.1:{self.ports['listen']}") as channel:
            stub, calls = InferenceStub(channel), []

            yield lambda: calls.append(stub.GenerateStream(asks_at_length(next(numbers))))

    def ask(self):
        """One turn, and its whole answer."""
        with grpc.insecure_channel(f"127.0.0.1:{self.ports['listen']}") as channel:
            return InferenceStub(channel).Generate(GenerateRequest(text="7"), wait_for_ready=True)

    def close(self):
        for program in (self.router, self.home, self.cloud):
            program.kill()


def asks_at_length(number):
    """The first turn of a session, whose answer takes ten seconds of an idle engine's."""
    stopping = StoppingCriteria(max_new_tokens=200)
    return GenerateRequest(text=f"{number} " * 100, session_id=f"s{number}", stopping=stopping)


def free_ports(count):
    """Ports that are free now; all are held until all are known, so that none comes twice."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@contextlib.contextmanager
def played(folder, *options):
    """A scene; `options` are of its router's command."""
    ports = dict(zip(("home", "cloud", "listen", "page"), free_ports(4), strict=True))
    file = folder / "fleet.yaml"
    file.write_text(FLEET.format(**ports))
    made = Scene(
        ports,
        Program(["-c", ENGINE, str(ports["home"])], ports["home"]),
        Program(["-c", ENGINE, str(ports["cloud"])], ports["cloud"]),
        Program(["-m", "spillway", "route", str(file), *options], ports["page"]),
    )
    try:
        for program in (made.home, made.cloud, made.router):
            program.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The fleet of a file of tests. A test leaves it as it found it."""
    with played(tmp_path_factory.mktemp("page")) as made:
        yield made


@dataclass
class Watched:
    """An open page, and what its browser complained of."""

    page: object
    complaints: list[str] = field(default_factory=list)

    def until_site(self, name, state):
        """Waits until a site is shown in a state: up, hurt, draining or down."""
        self.page.wait_for_selector(f'[data-site="{name}"][data-state="{state}"]')

    def until_connection(self, state):
        self.page.wait_for_selector(f'#connection[data-state="{state}"]')

    def stamped(self, name):
        """When the page last showed it, and when it was so by the router's clock; Unix seconds."""
        return self.page.evaluate(STAMPED, name)

    def until(self, expression):
        """Waits for a condition of the page's own."""
        wait_until(lambda: self.page.evaluate(expression))  # its policy lets nothing else wait


@pytest.fixture
def watch(browser, scene):
    """Opens the page as a person would, and waits until it shows both sites as up."""
    with contextlib.ExitStack() as opened:

        def open_page(**looks):
            context = browser.new_context(**looks)
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(DEADLINE_S * 1_000)
            watched = Watched(page)
            page.on("console", lambda said: _hear(watched, said))
            page.on("pageerror", lambda error: watched.complaints.append(str(error)))
            page.goto(scene.url)
            watched.until_connection("live")
            for name in ("home", "cloud"):
                watched.until_site(name, "up")
            return watched

        yield open_page


def _hear(watched, said):
    if said.type in {"error", "warning"}:
        watched.complaints.append(f"{said.type}: {said.text} {said.location}")
