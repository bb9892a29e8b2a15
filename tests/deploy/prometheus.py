"""A real Prometheus, where the machine has one (Debian: apt-get install prometheus)."""

import contextlib
import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from tests.waiting import wait_until

MISSING = "there is no Prometheus here (Debian: apt-get install prometheus)"


def installed():
    """Whether the machine has the server and its tool. No package index has them."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def promtool(*arguments, cwd):
    """What it says, and whether it found nothing wrong."""
    ran = subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


class Prometheus:
    """One that runs, and what may be asked of it."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        """The data of an answer. What it refuses is an AssertionError with its reason."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        assert said["status"] == "success", said
        assert not said.get("warnings"), said
        return said["data"]

    def query(self, expression):
        """The series that an instant query finds."""
        return self.ask("query", query=expression)["result"]


@contextlib.contextmanager
def prometheus(folder, targets, rules):
    """A server that scrapes these targets again and again, with its data in this folder."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        listen = f"127.0.0.1:{held.getsockname()[1]}"
    shutil.copy(rules, folder / "alerts.yaml")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "spillway", "static_configs": [{"targets": targets}]}],
        "rule_files": ["alerts.yaml"],
    }
    file = folder / "prometheus.yaml"
    file.write_text(json.dumps(config))  # which is YAML
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={listen}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:

        def is_ready():
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://{listen}/-/ready", timeout=5).status == 200
            return False

        wait_until(is_ready)
        yield Prometheus(f"http://{listen}")
    finally:
        process.kill()
        process.wait()
