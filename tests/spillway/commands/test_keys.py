"""`spillway keys`, and what the fleet file says of who may come in."""

import json

from router.live.key_file import read_keys
from router.policy.api_key import ApiKey, Fault, KeyRing
from spillway import cli

FLEET = (
    "sites: {a: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
    "slo_classes: {b: {ttft: 1s, itl: 1s}}\n"
    "tenants: {acme: {}}\n"
)


def test_a_new_key_opens_with_its_line_in_the_file(capsys, tmp_path):
    """The first line of output is the key, the second is the file's and does not have it."""
    assert cli.run(["keys", "new", "acme", "--days", "1"]) == 0
    key, line = capsys.readouterr().out.splitlines()
    assert key not in line
    path = tmp_path / "keys"
    path.write_text(f"{line}\n")
    ring = KeyRing(read_keys(path, ["acme"]))
    assert isinstance(ring.find(key, 0.0), ApiKey)
    assert ring.find(key, 1e11) is Fault.EXPIRED


def test_each_key_is_another(capsys):
    """An operator's says so in its line."""
    found = []
    for _ in range(2):
        assert cli.run(["keys", "new", "ops", "--operator", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["key"] != found[1]["key"]
    assert found[0]["line"].endswith(" operator")


def test_a_name_that_no_tenant_has_is_refused(capsys):
    """A space would make two words of it."""
    assert cli.run(["keys", "new", "a b"]) == 2
    assert "no name" in capsys.readouterr().err


def test_a_router_that_others_reach_wants_to_be_told_who_may_come_in(capsys, tmp_path):
    """The check says it before the router does, and the router does not start."""
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"{FLEET}router: {{listen: '0.0.0.0:0', metrics_listen: null,"
        " plaintext: i-accept-that-anyone-can-read-this}\n"
    )
    assert cli.run(["fleet", "check", str(path)]) == 0
    assert "No router would start: others reach 0.0.0.0:0" in capsys.readouterr().err
    for workers in ("1", "2"):
        assert cli.run(["route", str(path), "--workers", workers]) == 1
        assert "nothing says who may come in" in capsys.readouterr().err


def test_what_the_check_says_of_the_file_of_keys(capsys, tmp_path):
    """Where it is missing, where it is good, and where nobody is asked."""
    path, keys = tmp_path / "fleet.yaml", tmp_path / "keys"
    path.write_text(f"{FLEET}router: {{authentication: {{keys_file: {keys}}}}}\n")
    assert cli.run(["fleet", "check", str(path)]) == 0
    said = capsys.readouterr().err
    assert f"keys_file: {keys}: cannot be read" in said
    assert "router.audit.path says where" in said
    keys.touch()
    audit = "audit: {path: log}, authentication"
    path.write_text(path.read_text().replace("authentication", audit))
    assert cli.run(["fleet", "check", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    path.write_text(FLEET)
    assert cli.run(["fleet", "check", str(path)]) == 0
    assert "nobody has to say who they are" in capsys.readouterr().err
