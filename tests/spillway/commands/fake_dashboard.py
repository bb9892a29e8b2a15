"""A Ray dashboard with Serve behind it that reconciles at once, in a thread."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeDashboard:
    """Its applications run as soon as they are asked for, with these replicas."""

    def __init__(self, replicas, ahead_s=0.0):
        self.replicas = replicas  # host:port of each
        self.ahead_s = ahead_s  # its clock, of ours
        self.applications = {}
        self.puts = []
        self.status = "RUNNING"
        self.url = ""

    def answer(self):
        return {
            "proxy_location": "Disabled",
            "applications": self.applications,
            "target_groups": [
                {
                    "protocol": "gRPC",
                    "app_name": name,
                    "targets": [
                        {"ip": one.rpartition(":")[0], "port": int(one.rpartition(":")[2])}
                        for one in self.replicas
                    ],
                }
                for name in self.applications
            ],
        }

    def put(self, config):
        self.puts.append(config)
        self.applications = {
            one["name"]: {
                "status": self.status,
                "message": "",
                "source": "declarative",
                "deployed_app_config": one,
                "deployments": {
                    "replica": {
                        "message": "" if self.status == "RUNNING" else "no GPU is free",
                        "replicas": [{"state": "RUNNING"} for _ in self.replicas],
                    }
                },
            }
            for one in config["applications"]
        }


@contextmanager
def serving(dashboard: FakeDashboard) -> Iterator[FakeDashboard]:
    """On a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(json.dumps(dashboard.answer()).encode())

        def do_PUT(self):
            length = int(self.headers["Content-Length"])
            dashboard.put(json.loads(self.rfile.read(length)))
            self._answer(b"{}")

        def _answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() + dashboard.ahead_s)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    dashboard.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield dashboard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
