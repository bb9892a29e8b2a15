"""Whose a process is, by the command line that it shows."""

import pytest

from router.live.settings import RouterSettings
from spillway.doctor.finding import Level
from spillway.doctor.listeners import Listener
from spillway.doctor.ports import ports
from spillway.doctor.programs import Program, program_of

LIB = "/opt/venv/lib/python3.11/site-packages/ray"


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (f"{LIB}/core/src/ray/gcs/gcs_server --log_dir=/tmp/ray/logs", Program.GCS),
        (f"{LIB}/core/src/ray/raylet/raylet --raylet_socket_name=x", Program.NODE),
        (
            f"/opt/venv/bin/python -u {LIB}/dashboard/dashboard.py --host=127.0.0.1",
            Program.DASHBOARD,
        ),
        (f"ray-dashboard-NodeHead-0 ({LIB}/dashboard/dashboard.py)", Program.DASHBOARD),
        (f"python3.11 -u {LIB}/dashboard/agent.py --node-ip-address=10.0.0.5", Program.DASHBOARD),
        (f"python -u {LIB}/_private/log_monitor.py --session-dir=x", Program.RAY_OTHER),
        ("python -m ray.util.client.server --port=10001", Program.CLIENT_SERVER),
        ("ray::ServeReplica:spillway:Engine", Program.WORKER),
        ("ray::IDLE", Program.WORKER),
        ("/usr/bin/valkey-server 127.0.0.1:6379", Program.STORE),
        ("redis-server *:6379", Program.STORE),
        ("/opt/venv/bin/python /opt/venv/bin/spillway route fleet.yaml", Program.ROUTER),
        ("python -m spillway route fleet.yaml", Program.ROUTER),
        ("/usr/local/bin/spillway route fleet.yaml", Program.ROUTER),
        ("python -m serving.standalone model=x", Program.ENGINE),
        ("haproxy -W -db -f /run/door.cfg", Program.DOOR),
    ],
)
def test_a_program_is_known_by_what_runs(command, program):
    """The file, the script, the module, or the title that it gives itself."""
    assert program_of(command) is program


@pytest.mark.parametrize(
    "command",
    [
        "",
        "/usr/sbin/xray -config /etc/xray.json",
        "vim /home/me/spillway/README.md",
        "python -m http.server --directory /srv/ray/dashboard",
        "python /home/ray/app.py",
        "python -m raytracer.server",
        "python -c import ray; ray.init()",
        "python -m",
        "nginx: master process /srv/spillway/nginx.conf",
        "grafana-server --homepath /usr/share/grafana/dashboard",
        "tray::app",
        "node /srv/spillway/server.js",
        "spillwayd",
    ],
)
def test_a_word_in_a_command_line_makes_nobody_ours(command):
    """Folders, files and users are named after many things."""
    assert program_of(command) is None


def test_a_port_that_a_namesake_holds_is_told_of():
    """A router or a Ray head would not start there."""
    settings = RouterSettings(listen="0.0.0.0:7070", metrics_listen=None)
    held = [
        Listener("0.0.0.0", 7070, 12, "node /srv/spillway/server.js"),
        Listener("0.0.0.0", 8265, 13, "python /home/ray/app.py"),
        Listener("0.0.0.0", 6379, 14, f"{LIB}/core/src/ray/gcs/gcs_server --x"),
    ]
    found = {one.what.split(" ")[0]: one.level for one in ports(settings, held)}
    assert found == {"7070": Level.PROBLEM, "8265": Level.WARNING, "6379": Level.OK}
