"""Runs a how-to page as its reader would, one block after the other.

`yaml` that begins with `# NAME` is written to that file; `console` is what is typed in another
terminal, started and left running; `sh` is run to its end. Addresses of a page are its own; here
they are ones that are free.
"""

import os
import re
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spillway.client import SyncClient
from tests.docs.blocks import blocks
from tests.router.faces.page.conftest import free_ports
from tests.trust.processes import up
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
STARTED_S = 120.0
BLOCK_S = 400.0
_READY = re.compile(r"^(serving |Router at |OpenAI API: )", re.MULTILINE)
_WHERE = {"7070": r"^Router: .*:(\d+)$", "7080": r"^OpenAI API: .*:(\d+)/v1$"}
"""What `up --local` says of the ports that it took."""
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=port=)\d+")
_FILE = re.compile(r"# (\S+\.\w+)\n")
_ROUTER = {"7070": "listen", "7071": "metrics_listen", "7080": "openai_listen"}


class Reader:
    """Somebody who follows a page in a folder of their own."""

    def __init__(self, folder, ports=()):
        """`ports` are those of what runs already, by the port that the page has."""
        self.folder = folder
        self.said = {}
        self._ports = dict(ports)
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def follow(self, page, *, has_started=()):
        """Every block. What begins with one of `has_started` runs already, and is not started."""
        for block in blocks(page):
            text = _PORT.sub(lambda found: self.port(found.group()), block.text)
            place = f"docs/{page}:{block.line}"
            if block.language == "yaml" and (named := _FILE.match(text)):
                (self.folder / named.group(1)).write_text(self._with_router(text))
            elif block.language == "console":
                for line in text.splitlines():
                    command = line.removeprefix("$ ")
                    if line.startswith("$ ") and not command.startswith(tuple(has_started)):
                        self._stack.enter_context(self._started(command, place))
            elif block.language == "sh":
                self.said[block.text.split("\n", 1)[0]] = self._run(text, place)

    def bring(self, path):
        """A folder of the repository's that a page uses, with its ports."""
        for file in (ROOT / path).iterdir():
            copy = self.folder / path / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(_PORT.sub(lambda found: self.port(found.group()), file.read_text()))

    def port(self, written):
        """The one that is free here, always the same for one of the page."""
        if written not in self._ports:
            (self._ports[written],) = free_ports(1)
        return str(self._ports[written])

    @property
    def environment(self):
        """What a shell of the reader's has."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SPILLWAY_ADDRESS": f"127.0.0.1:{self.port('7070')}",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.port('7080')}/v1",
        }

    def _until_found(self):
        """Until the router takes requests somewhere: a reader is slower than that."""
        with SyncClient(f"127.0.0.1:{self.port('7070')}") as client:
            wait_until(lambda: up(client), STARTED_S)

    def _with_router(self, text):
        """A fleet file whose router listens where it does on the page by default."""
        if "sites:" not in text:
            return text
        keys = "".join(
            f"  {key}: 127.0.0.1:{self.port(port)}\n"
            for port, key in _ROUTER.items()
            if key != "openai_listen"
        )
        if "\nrouter:\n" in text:
            return text.replace("\nrouter:\n", f"\nrouter:\n{keys}")
        return f"{text}router:\n{keys}"

    def _run(self, text, place):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_S,
            check=False,
        )
        assert ran.returncode == 0, f"{place}: {ran.stderr}{ran.stdout}"
        return ran.stdout

    @contextmanager
    def _started(self, command, place):
        """It runs, and has said so."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        reading = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reading.start()
        try:
            wait_until(
                lambda: _READY.search("".join(said)) or process.poll() is not None, STARTED_S
            )
            assert process.poll() is None, f"{place}: {''.join(said)}"
            for port, line in _WHERE.items():
                if found := re.search(line, "".join(said), re.MULTILINE):
                    self._ports[port] = found.group(1)
            if "Router at " in "".join(said):
                self._until_found()
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reading.join()
            process.stdout.close()
