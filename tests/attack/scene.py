"""A fleet under attack: a router that others reach, two engines, and whoever may ask there."""

import contextlib
import json
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import yaml

from router.live.key_file import line_of
from router.policy.api_key import ApiKey, digest_of, id_of, key_text
from tests.attack.honest import Honest
from tests.attack.programs import Program
from tests.attack.provider import provider
from tests.router.live.test_tokens import AUDIENCE, ISSUER, OURS, jwk, listed
from tests.trust.pki import FRONT, RIDGE, Pki
from tests.waiting import DEADLINE_S, wait_until
from wire.spillway.v1 import fleet_pb2
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria

CONNECTIONS = {
    "max": 150,
    "streams_max": 300,
    "watches_max": 40,
    "handshake_timeout": "2s",
    "http_idle_timeout": "2s",
}
"""The router's limits, small ones, so that a flood is a short one."""

KEYS = {
    name: key_text(name.ljust(6, "-").encode(), secrets.token_urlsafe(32))
    for name in ("acme", "bolt", "small", "ops")
}
"""A key of each tenant; that of ops is an operator's."""

TENANTS = {
    "acme": {},
    "bolt": {"models": ["f"], "adapters": []},
    "small": {"requests_per_minute": 40, "streams_max": 4},
    "ops": {},
}

GENERATE, STREAM = "/vllm.Inference/Generate", "/vllm.Inference/GenerateStream"


def ask(prompt="417", tokens=20, **fields):
    """A request, as bytes."""
    stopping = StoppingCriteria(max_new_tokens=tokens)
    fields = {"model": "f", **fields}
    return GenerateRequest(text=prompt, stopping=stopping, **fields).SerializeToString()


def bearer(key):
    """What a caller with a key or token sends along."""
    return (("authorization", f"Bearer {key}"),)


@dataclass
class Answer:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    messages: list[bytes]
    trailers: dict[str, str | bytes]


@dataclass
class Scene:
    """Addresses, keys, and ways to ask."""

    folder: Path
    pki: Pki
    lease_key: bytes
    router: Program
    address: str  # of gRPC,
    openai: str  # of OpenAI's API,
    page: str  # and of metrics and the page
    lone_address: str  # of an engine that wants leases
    home_address: str
    issuer_asked: list[str]
    honest: Honest = field(init=False)

    def channel(self, *options):
        """A connection of its own to the router."""
        trusted = grpc.ssl_channel_credentials(self.pki.certificate.read_bytes())
        alone = (("grpc.use_local_subchannel_pool", 1), *options)
        return grpc.secure_channel(self.address, trusted, alone)

    def call(self, method, raw=b"", metadata=(), timeout=DEADLINE_S):
        """The whole answer to a call of this method, whatever comes of it."""
        with self.channel() as channel:
            return called(channel, method, raw, metadata, timeout)

    def tls(self, port_of, *, alpn=()):
        """A bare TLS connection to one of the router's addresses."""
        context = ssl.create_default_context(cafile=self.pki.certificate)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        host, _, port = port_of.rpartition(":")
        plain = socket.create_connection((host, int(port)), DEADLINE_S)
        return context.wrap_socket(plain, server_hostname=host)

    def state(self, key=KEYS["ops"]):
        """The fleet as the holder of a key sees it."""
        with self.channel() as channel:
            watch = channel.unary_stream("/spillway.v1.Fleet/Watch")
            call = watch(b"", metadata=bearer(key), timeout=DEADLINE_S)
            state = fleet_pb2.FleetState.FromString(next(call))
            call.cancel()
        return state

    def until_at_rest(self):
        """Waits until nothing but the honest client's stream runs anywhere."""
        wait_until(lambda: sum(site.open_streams for site in self.state().sites) <= 1)


def called(channel, method, raw=b"", metadata=(), timeout=DEADLINE_S):
    """The whole answer to a call over a channel."""
    messages = []
    call = channel.unary_stream(method)(raw, metadata=metadata, timeout=timeout)
    with contextlib.suppress(grpc.RpcError):
        messages.extend(call)
    return Answer(call.code(), call.details(), messages, dict(call.trailing_metadata() or ()))


def write_keys(path):
    """The file of keys."""
    path.write_text(
        "".join(
            line_of(ApiKey(id_of(text), digest_of(text), name, operator=name == "ops")) + "\n"
            for name, text in KEYS.items()
        )
    )


def fleet_file(folder, sites, **router):
    """A fleet file with these sites and these keys of its `router` section."""
    path = folder / "fleet.yaml"
    listens = dict.fromkeys(("listen", "metrics_listen", "openai_listen"), "127.0.0.1:0")
    path.write_text(
        yaml.safe_dump(
            {
                "sites": sites,
                "slo_classes": {"chat": {"ttft": "60s", "itl": "60s"}},
                "tenants": TENANTS,
                "router": {**listens, "rtt_interval": "1s", **router},
            }
        )
    )
    return path


@contextlib.contextmanager
def under_attack(folder):
    """The whole scene, with its honest client."""
    pki = Pki(folder / "authority")
    lease_key = secrets.token_hex(32)
    (folder / "leases").write_text(lease_key)
    write_keys(folder / "keys")
    with contextlib.ExitStack() as opened:

        def started(name, *arguments):
            return opened.enter_context(Program(folder, name, *arguments))

        shown = pki.issue(RIDGE)
        home = started(
            "home",
            "serving.standalone",
            *("engine=fake", "model=f", "fake.itl_s=0.01", f"certificate={shown.certificate}"),
            *(f"key={shown.key}", f"authority={pki.certificate}", f"accept={FRONT}"),
        )
        lone = started(
            "lone",
            "serving.standalone",
            *("engine=fake", "model=f", "fake.itl_s=0.01", "leases=required"),
            f"lease_key_file={folder / 'leases'}",
        )
        url, asked = opened.enter_context(provider(listed(jwk(OURS, "1"))))
        home_address = home.address("serving f on")
        lone_address = lone.address("serving f on")
        front = pki.issue(FRONT, "127.0.0.1")
        file = fleet_file(
            folder,
            {
                "home": {"kind": "home", "endpoints": [home_address], "tls": {"identity": RIDGE}},
                "lone": {
                    "kind": "rented",
                    "endpoints": [lone_address],
                    "price": {"metered": "3 USD/h"},
                },
            },
            lease_key_file=str(folder / "leases"),
            connections=CONNECTIONS,
            tls={
                "certificate": str(front.certificate),
                "key": str(front.key),
                "authority": str(pki.certificate),
            },
            authentication={
                "keys_file": str(folder / "keys"),
                "tokens": {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{url}/keys"},
            },
        )
        router = started("router", "spillway", "route", file)
        scene = Scene(
            folder,
            pki,
            lease_key.encode(),
            router,
            address=router.address("Router at"),
            openai=router.address("OpenAI's API at"),
            page=router.address("Metrics at"),
            lone_address=lone_address,
            home_address=home_address,
            issuer_asked=asked,
        )
        wait_until(lambda: sum(_is_up(one) for one in _endpoints(scene)) == 2)
        wait_until(lambda: asked)
        scene.honest = opened.enter_context(Honest(scene.address, pki.certificate, KEYS["acme"]))
        yield scene


def _endpoints(scene):
    return [one for site in scene.state().sites for one in site.endpoints]


def _is_up(endpoint):
    return endpoint.health == fleet_pb2.EndpointState.UP


def as_json(body):
    """A body of OpenAI's API."""
    return json.dumps(body).encode()
