"""A router that asks for certificates and for keys is content with neither alone, on any call."""

import grpc
import pytest

from spillway import cli
from tests.trust.pki import FRONT
from tests.trust.processes import router, tls_of
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc
from wire.tls.channel import channel_credentials
from wire.tls.files import TlsFiles

ME = "me.example.org"


@pytest.fixture
def key(tmp_path, capsys):
    """An operator's key, which the file of keys has."""
    assert cli.run(["keys", "new", "ops", "--operator"]) == 0
    key, line = capsys.readouterr().out.splitlines()
    (tmp_path / "keys").write_text(f"{line}\n")
    return key


def code_of(address, pki, issued, *metadata):
    """What the router answers to who asks what is in quarantine."""
    files = TlsFiles(issued.certificate, issued.key, pki.certificate)
    with grpc.secure_channel(address, channel_credentials(files.current())) as channel:
        ask = fleet_pb2_grpc.FleetStub(channel).ListQuarantine
        try:
            ask(fleet_pb2.ListQuarantineRequest(), metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def test_both_are_asked_for_again_and_again(pki, key, tmp_path):
    """What one call has shown opens nothing to the next."""
    front, me, other = pki.issue(FRONT, "127.0.0.1"), pki.issue(ME), pki.issue("other")
    shown = ("authorization", f"Bearer {key}")
    keys = {"authentication": {"keys_file": str(tmp_path / "keys")}}
    keys["tls"] = tls_of(front, pki.certificate, [ME])
    sites = {"ridge": {"endpoints": ["127.0.0.1:1"]}}
    with router(tmp_path, sites, tenants={"ops": {}}, **keys) as address:
        for _ in range(2):
            assert code_of(address, pki, me, shown) is grpc.StatusCode.OK
            assert code_of(address, pki, me) is grpc.StatusCode.UNAUTHENTICATED
            assert code_of(address, pki, other, shown) is grpc.StatusCode.PERMISSION_DENIED
            assert code_of(address, pki, other) is not grpc.StatusCode.OK
