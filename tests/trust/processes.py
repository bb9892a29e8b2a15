"""Routers and replicas in processes of their own, as people start them."""

import os
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import yaml

from spillway.client import SyncClient
from spillway.client.tls import ClientTls
from tests.waiting import DEADLINE_S, wait_until
from wire.spillway.v1.fleet_pb2 import EndpointState
from wire.tls.channel import channel_credentials, identity_options
from wire.tls.files import TlsFiles
from wire.vllm import control_pb2, control_pb2_grpc

_ADDRESS = re.compile(rb"127\.0\.0\.1:\d+")


@contextmanager
def running(*arguments):
    """`python -m ...`: the address that its first line names, until the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    try:
        yield _address(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _address(process):
    said, give_up_s = b"", time.monotonic() + DEADLINE_S
    while (found := _ADDRESS.search(said)) is None:
        ready, _, _ = select.select([process.stdout], [], [], give_up_s - time.monotonic())
        more = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert more, f"it does not listen: {said.decode()}"
        said += more
    return found[0].decode()


def replica(issued=None, authority=None, accept=(), **settings):
    """A replica with a fake engine. Without a certificate it speaks plaintext."""
    given = {"engine": "fake", "model": "f", "fake.itl_s": 0.01, **settings}
    if issued is not None:
        given |= {"certificate": issued.certificate, "key": issued.key, "authority": authority}
        given["accept"] = ",".join(accept)
    return running("serving.standalone", *(f"{name}={value}" for name, value in given.items()))


@contextmanager
def router(folder, sites, tenants=None, **keys):
    """`spillway route` in front of these sites, with these keys of its `router` section."""
    path = folder / "fleet.yaml"
    fleet = {
        "sites": {name: {"kind": "home", **site} for name, site in sites.items()},
        "slo_classes": {"chat": {"ttft": "60s", "itl": "60s"}},
        "router": {"listen": "127.0.0.1:0", "metrics_listen": None, "rtt_interval": "1s", **keys},
    }
    if tenants:
        fleet["tenants"] = tenants
    path.write_text(yaml.safe_dump(fleet))
    with running("spillway", "route", path) as address:
        yield address


def site(address, authority, identity):
    """A site of the fleet file, reached with TLS."""
    return {"endpoints": [address], "tls": {"identity": identity, "authority": str(authority)}}


def tls_of(issued, authority, accept=()):
    """The router's own section."""
    found = {"certificate": issued.certificate, "key": issued.key, "authority": authority}
    return {name: str(path) for name, path in found.items()} | {"accept": list(accept)}


def client(address, authority, issued=None):
    """A client of a router that has a certificate for its address."""
    shown = (issued.certificate, issued.key) if issued else ()
    return SyncClient(address, tls=ClientTls(authority, *shown))


def up(asking):
    """The addresses of the fleet's endpoints that take requests."""
    state = next(asking.watch_fleet(0.1, DEADLINE_S))
    endpoints = [one for site in state.sites for one in site.endpoints]
    return {one.address for one in endpoints if one.health != EndpointState.DOWN}


def until_up(asking, *addresses):
    """Waits until these and no others are up."""
    wait_until(lambda: up(asking) == set(addresses))


def answer_of(address, authority=None, issued=None, identity=None):
    """What a replica says to who shows this certificate: its model, or the error's code and words.

    Without an authority it is asked in plaintext.
    """
    if authority is None:
        channel = grpc.insecure_channel(address)
    else:
        files = TlsFiles(*((issued.certificate, issued.key) if issued else (None, None)), authority)
        credentials = channel_credentials(files.current())
        channel = grpc.secure_channel(address, credentials, identity_options(identity))
    with channel:
        ask = control_pb2_grpc.ControlStub(channel).GetModelInfo
        try:
            return ask(control_pb2.GetModelInfoRequest(), timeout=DEADLINE_S).model_id
        except grpc.RpcError as error:
            return error.code(), error.details()
