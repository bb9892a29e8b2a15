"""`spillway cost`: a table, comma-separated values or JSON, of a router's ledger."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from spillway import cli
from spillway.commands.failure import Outcome
from wire.spillway.v1 import cost_pb2 as pb
from wire.spillway.v1.cost_pb2_grpc import CostServicer, add_CostServicer_to_server


class Ledger(CostServicer):
    """Answers with what two tenants have cost, and remembers the question."""

    def __init__(self):
        self.asked = []
        self.lag_s = 0.0

    def Report(self, request, context):
        self.asked.append(request)
        one = pb.CostSums(requests=3, attempts=4, output_tokens=70, metered_usd=1.25)
        lines = [
            pb.CostLine(key=['=cmd, "x"' if n else "acme"] * len(request.by), sums=one)
            for n in range(2)
        ]
        total = pb.CostSums(requests=6, attempts=8, output_tokens=140, metered_usd=2.5)
        return pb.CostReport(lines=lines, total=total, lag_s=self.lag_s)

    def Reconcile(self, request, context):
        self.asked.append(request)
        site = pb.SiteAccount(
            site="ridge", told_output_tokens=100, output_tokens=93, told_prompt_tokens=8,
            prompt_tokens=9,
        )  # fmt: skip
        return pb.Reconciliation(sites=[site], lost_attempts=2)


@pytest.fixture
def ledger(monkeypatch):
    """A router that answers for a ledger, at the address of the environment."""
    server, servicer = grpc.server(ThreadPoolExecutor(2)), Ledger()
    add_CostServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("SPILLWAY_ADDRESS", f"127.0.0.1:{port}")
    yield servicer
    server.stop(None).wait()


def test_a_line_for_each_and_one_for_all(ledger, capsys):
    """With tabs between where it is piped."""
    assert cli.run(["cost", "--by", "tenant, day", "--since", "2026-11-01"]) == 0
    (asked,) = ledger.asked
    assert (list(asked.by), asked.since, asked.until) == (["tenant", "day"], "2026-11-01", "")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:4] == ["tenant", "day", "requests", "attempts"]
    assert [line[0] for line in lines[1:]] == ["acme", '=cmd, "x"', "all"]
    assert lines[3][2:4] == ["6", "8"]


def test_csv_reads_back(ledger, capsys):
    """Exact figures in whole units, and names that need quotes."""
    assert cli.run(["cost", "--csv", "--by", "site"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["site"] for row in rows] == ["acme", '=cmd, "x"']
    assert rows[0]["metered_usd"] == "1.25"
    assert rows[0]["output_tokens"] == "70"


def test_json_has_the_keys_and_numbers(ledger, capsys):
    """For programs."""
    assert cli.run(["cost", "--json", "--by", "site"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["by"] == ["site"]
    assert found["total"]["output_tokens"] == 140


def test_the_sites_accounts_stand_beside_the_ledger(ledger, capsys):
    """With the difference, and what was lost."""
    assert cli.run(["cost", "--reconcile", "--until", "2026-11-29"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split("\t") == ["ridge", "93", "100", "-7", "9", "8", "+1"]
    assert "2 attempts ended that the ledger could not take" in captured.err


def test_a_late_ledger_is_told(ledger, capsys):
    """What is missing may be on its way."""
    ledger.lag_s = 60.0
    assert cli.run(["cost"]) == 0
    assert "The ledger is 60 s late." in capsys.readouterr().err


@pytest.mark.parametrize("by", ["colour", "site,site"])
def test_what_lines_cannot_be_told_apart_by_is_refused(by, capsys):
    """Before anybody is asked."""
    assert cli.run(["cost", "--by", by]) == Outcome.USAGE
