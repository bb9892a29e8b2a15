"""Whose certificate may act, where no keys say who an operator is."""

import pytest

from router.audit.verifying import records
from spillway.client.errors import PermissionDeniedError
from tests.trust.pki import FRONT, RIDGE
from tests.trust.processes import client, router, site, tls_of
from tests.waiting import wait_until

OPS, ABOVE = "ops.example.org", "above.example.org"


def test_a_certificate_acts_where_it_is_named_for_that(ridge, pki, tmp_path):
    """The router above looks and asks, and drains nothing; both are in the audit log by name."""
    log = tmp_path / "audit.jsonl"
    front = pki.issue(FRONT, "127.0.0.1")
    tls = {**tls_of(front, pki.certificate, [OPS, ABOVE]), "operators": [OPS]}
    sites = {"ridge": site(ridge, pki.certificate, RIDGE)}
    with router(tmp_path, sites, tls=tls, audit={"path": str(log)}) as address:
        with client(address, pki.certificate, pki.issue(ABOVE)) as above:
            with pytest.raises(PermissionDeniedError, match=r"router\.tls\.operators"):
                above.drain("ridge")
            assert not next(above.watch_fleet()).sites[0].draining
        with client(address, pki.certificate, pki.issue(OPS)) as ops:
            ops.drain("ridge")
            assert next(ops.watch_fleet()).sites[0].draining
        wait_until(lambda: len(list(records([log], None))) == 4)
    _, refused, asked, done = records([log], None)
    assert refused["who"]["name"] == f"certificate:{ABOVE}"
    assert (refused["action"], refused["target"]) == ("drain", "ridge")
    assert asked["who"]["name"] == done["who"]["name"] == f"certificate:{OPS}"
