"""Certificates that expire and secrets that others may read."""

import dataclasses
import os
from datetime import UTC, datetime, timedelta

import pytest

from router.live.settings import AuditSettings, LedgerSettings
from spillway.certs.authority import Authority
from spillway.certs.issuing import issue
from spillway.doctor import files
from spillway.doctor.finding import Level
from spillway.fleet import read

FLEET = """
sites:
  a: {kind: home, endpoints: [127.0.0.1:9000]}
slo_classes:
  b: {ttft: 1s, itl: 1s}
router:
  tls:
    certificate: %(folder)s/own.pem
    key: %(folder)s/own.key
    authority: %(folder)s/authority.pem
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def fleet(tmp_path):
    """A router with a certificate of ten days, made at NOW."""
    authority = Authority.create(tmp_path, "Ours", 365, NOW)
    issue(authority, ["front.example.org"], tmp_path / "own", 10, NOW)
    return read(FLEET % {"folder": tmp_path})


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (1, Level.OK, "is good for 9.0 days more"),
        (9, Level.WARNING, "is good for 1.0 days more"),
        (11, Level.PROBLEM, "expired 2026-01-11"),
        (-2, Level.PROBLEM, "is good from"),
    ],
)
def test_a_certificate_is_told_with_what_is_left_of_it(fleet, days, level, said):
    """A warning comes when a renewer should have renewed it."""
    found = list(files.certificates(fleet, NOW + timedelta(days=days)))
    own = next(one for one in found if "front.example.org" in one.what)
    assert own.level is level
    assert said in own.what


def test_a_file_that_is_none_is_a_problem_and_the_others_are_looked_at(fleet, tmp_path):
    """Each by its key."""
    (tmp_path / "own.pem").write_text("nothing")
    first, second = files.certificates(fleet, NOW)
    assert first.level is Level.PROBLEM
    assert "router.tls.certificate" in first.what
    assert "router.tls.authority" in second.what


def test_a_key_that_others_may_read_is_a_problem(fleet, tmp_path, monkeypatch):
    """As `spillway certs` makes it, it is not; nor in a folder that is its owner's alone."""
    (found,) = files.secrets(fleet)
    assert found.level is Level.OK
    (tmp_path / "own.key").chmod(0o644)
    tmp_path.chmod(0o700)
    (found,) = files.secrets(fleet)
    assert found.level is Level.OK
    # Above a test's folder pytest has one that is its owner's alone.
    monkeypatch.setattr(files, "_others_come_to", lambda _path: True)
    monkeypatch.setattr(files, "ROOT", os.getuid() + 1)  # whoever runs the test is not root
    (found,) = files.secrets(fleet)
    assert found.level is Level.PROBLEM
    assert found.do == f"chmod 600 {tmp_path}/own.key"
    (tmp_path / "own.key").unlink()
    (found,) = files.secrets(fleet)
    assert found.level is Level.PROBLEM


def test_what_belongs_to_root_a_service_may_read_by_its_group(fleet, tmp_path, monkeypatch):
    """And nobody else may; of anybody else's a group has nothing to read."""
    monkeypatch.setattr(files, "_others_come_to", lambda _path: True)
    key = tmp_path / "own.key"
    for root, mode, do in (
        (os.getuid(), 0o640, ""),
        (os.getuid(), 0o660, f"chmod 640 {key}"),
        (os.getuid(), 0o644, f"chmod 640 {key}"),
        (os.getuid() + 1, 0o640, f"chmod 600 {key}"),
    ):
        monkeypatch.setattr(files, "ROOT", root)
        key.chmod(mode)
        (found,) = files.secrets(fleet)
        assert found.do == do


def test_every_secret_that_a_fleet_file_names_is_looked_at(fleet, tmp_path):
    """The ledger's password and the seal of the audit log, too."""
    password, seal = tmp_path / "password", tmp_path / "seal"
    router = dataclasses.replace(
        fleet.router,
        ledger=LedgerSettings(url="postgresql://ledger/spillway", password_file=password),
        audit=AuditSettings(tmp_path / "audit.jsonl", secret_file=seal),
    )
    found = list(files.secrets(dataclasses.replace(fleet, router=router)))
    absent = [one.what for one in found if one.level is Level.PROBLEM]
    assert [what.split(":")[0] for what in absent] == [
        "router.ledger.password_file",
        "router.audit.secret_file",
    ]
