"""Commands that talk to a router: what they print, and how they end."""

import json
import time
from datetime import UTC, datetime

import pytest

from spillway.commands.failure import Outcome
from spillway.commands.moment import shown
from wire.spillway.v1.fleet_pb2 import PlacedSession, Quarantined


def test_generate_streams_the_answer(spillway, router):
    """Text on standard output, and nothing else where it is piped."""
    assert spillway("generate", "count 3", "-n", "9", "-t", "0") == (0, "0 1 2 \n", "")
    assert router.requests[0].stopping.max_new_tokens == 9
    assert router.requests[0].HasField("temperature")


def test_generate_goes_through_a_router_that_places_nothing(spillway, router):
    """Direct is a wish: an older router, or one without a key, serves as ever."""
    assert spillway("generate", "count 3", "--direct") == (0, "0 1 2 \n", "")
    assert len(router.requests) == 1


def test_generate_reads_its_prompt_from_a_pipe(spillway, router):
    """A dash stands for standard input."""
    assert spillway("generate", "-", stdin="count 1")[1] == "0 \n"


def test_explain_reads_its_prompt_as_generate_does(spillway, router):
    """The router is asked about what came through the pipe."""
    assert spillway("explain", "-", stdin="count 1")[0] == Outcome.DONE
    assert router.requests[-1].text == "count 1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("drain", "\udcff"),
        ("undrain", "\udcff"),
        ("lend", "\udcff", "-n", "1", "-u", "+1h"),
        ("lend", "cellar", "-n", "1", "-u", "+1h", "-r", "\udcff"),
        ("reclaim", "\udcff"),
        ("status", "--address", "\udcff"),
        ("generate", "\udcff"),
        ("explain", "\udcff"),
    ],
)
def test_an_argument_that_is_not_utf8_is_a_wrong_command_line(spillway, arguments):
    """The shell hands any bytes over; no message can carry these."""
    code, _, error = spillway(*arguments)
    assert code == Outcome.USAGE
    assert error.startswith("spillway: ")
    assert "not UTF-8" in error


def test_generate_gives_json(spillway):
    """One document, with what a script wants to know."""
    code, out, _ = spillway("generate", "count 3", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["text"], found["site"], found["attempts"]) == ("0 1 2 ", "cellar", 2)
    assert (found["finish_reason"], found["output_tokens"], found["prompt_tokens"]) == (
        "stop",
        3,
        7,
    )
    assert 0 < found["ttft_s"] <= found["duration_s"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("INVALID_ARGUMENT", Outcome.REFUSED),
        ("NOT_FOUND", Outcome.REFUSED),
        ("RESOURCE_EXHAUSTED", Outcome.OVERLOADED),
        ("UNAVAILABLE", Outcome.UNREACHABLE),
        ("DEADLINE_EXCEEDED", Outcome.DEADLINE),
        ("ABORTED", Outcome.BROKE_OFF),
        ("INTERNAL", Outcome.FAILED),
    ],
)
def test_a_failure_is_one_line_and_its_exit_code(spillway, code, outcome):
    """So that a script can tell what to do next."""
    found, out, err = spillway("generate", f"fail {code}")
    assert found == outcome
    assert out == ""
    assert err.startswith("spillway: ")
    assert err.count("\n") == 1


def test_an_overload_says_when_to_come_back(spillway):
    """The router's own estimate."""
    assert "try again in 1.5 s" in spillway("generate", "fail RESOURCE_EXHAUSTED")[2]


def test_nobody_at_the_address_is_said(spillway):
    """With the address that was tried."""
    code, _, err = spillway("status", "--address", "127.0.0.1:1")
    assert code == Outcome.UNREACHABLE
    assert err.startswith("spillway: nobody answers at 127.0.0.1:1: ")


def test_a_chat_keeps_its_session_and_history(spillway, router, tmp_path):
    """Each turn carries what was said before."""
    template = tmp_path / "chat.jinja"
    template.write_text("count {{ messages | length }}")
    code, out, _ = spillway("chat", "--chat-template", str(template), stdin="one\n\ntwo\n")
    assert code == 0
    assert out == "0 \n0 1 2 \n"
    assert len({request.session_id for request in router.requests}) == 1
    assert router.requests[0].session_id


def test_a_chat_outlives_an_answer_that_fails(spillway, router, tmp_path, monkeypatch):
    """On a terminal: what failed is said, and is no part of what comes after it."""
    monkeypatch.setattr("spillway.commands.chat.is_terminal", lambda: True)
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages | map(attribute='content') | join(' ') }}")
    lines = "fail RESOURCE_EXHAUSTED\ncount 2\n"
    code, out, err = spillway("chat", "--chat-template", str(template), stdin=lines)
    assert (code, out) == (Outcome.DONE, "0 1 \n")
    assert err.splitlines()[0].startswith("spillway: ")
    assert "try again in" in err.splitlines()[0]
    assert [request.text for request in router.requests] == ["fail RESOURCE_EXHAUSTED", "count 2"]


def test_a_chat_in_a_script_ends_where_an_answer_fails(spillway, router, tmp_path):
    """What comes after it would be an answer to something else."""
    template = tmp_path / "chat.jinja"
    template.write_text("fail NOT_FOUND")
    code, _, err = spillway("chat", "--chat-template", str(template), stdin="one\ntwo\n")
    assert code == Outcome.REFUSED
    assert err.count("\n") == 1
    assert len(router.requests) == 1


def test_a_chat_without_a_template_says_what_to_give(spillway):
    """A router has no tokenizer, and a template is not guessed."""
    code, _, err = spillway("chat", stdin="hello\n")
    assert code == Outcome.USAGE
    assert "messages need the chat template of tiny" in err


def test_status_lists_sites_and_endpoints(spillway):
    """As lines that cut and awk read, where it is piped."""
    code, out, _ = spillway("status")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split("\t")[:4] == ["site", "kind", "state", "up"]
    assert lines[1].split("\t")[:4] == ["cellar", "home", "up", "1/1"]
    assert lines[2].split("\t")[:4] == ["ridge", "rented", "draining", "0/0"]
    assert lines[5].split("\t")[:4] == ["cellar/1", "10.0.0.5:40000", "tiny", "up"]


def test_status_gives_json(spillway):
    """All of the router's message."""
    found = json.loads(spillway("status", "--json")[1])
    assert found["sites"][1]["cost_usd"] == 1.5
    assert found["sites"][0]["endpoints"][0]["health"] == "UP"


def test_top_ends_after_so_many_looks(spillway):
    """For scripts; a person ends it with Ctrl-C."""
    code, out, _ = spillway("top", "--interval", "0.1", "--count", "2")
    assert code == 0
    assert out.count("cellar\thome") == 2


def test_explain_shows_the_decision_and_its_candidates(spillway, router):
    """What would happen, by which rule, and why not elsewhere."""
    code, out, _ = spillway("explain", "hello", "--session", "s", "--slo", "batch")
    assert code == 0
    assert out.startswith("Goes to cellar/1 at cellar (home_meets).\nhome is predicted to meet")
    assert "ridge\tridge/1\tno\t" in out
    assert router.requests[0].session_id == "s"


def test_an_adapter_is_asked_for_and_what_it_costs_is_shown(spillway, router):
    """A column of what passes until it is loaded."""
    code, out, _ = spillway("explain", "hello", "--adapter", "poet")
    assert (code, router.requests[0].lora_name) == (0, "poet")
    header, first, _ = (line.split("\t") for line in out.splitlines()[-3:])
    assert first[header.index("adapter")] == "250.0 ms"


def test_explain_gives_json(spillway):
    """All of the router's message: a script finds what is false or 0, too."""
    found = json.loads(spillway("explain", "hello", "--json")[1])
    assert found["site"] == "cellar"
    assert [one["meets_objective"] for one in found["candidates"]] == [True, False]


def test_a_fleet_file_is_reloaded_or_only_looked_at(spillway, router):
    """With every key that changes; what is wrong with the file is said as it is."""
    code, out, err = spillway("reload", "--dry-run")
    assert code == 0
    assert out.splitlines()[1].split("\t") == ["sites.cellar.price.metered", "3 USD/h", "4 USD/h"]
    assert err.startswith("1 change; nothing is done yet. The file's digest is abababab")
    assert "1 change; reloaded." in spillway("reload")[2]
    assert json.loads(spillway("reload", "--json")[1])["applied"] is True
    router.reload_problem = "fleet.yaml:3:5: sites.cellar.kind: expected home or rented"
    assert spillway("reload") == (4, "", f"spillway: {router.reload_problem}\n")


def test_a_site_is_drained_and_taken_back(spillway, router):
    """And a site that does not exist is refused."""
    assert spillway("drain", "ridge") == (0, "ridge drains; 3 streams are open there.\n", "")
    assert router.drained == ["ridge"]
    assert spillway("undrain", "ridge") == (0, "ridge takes turns again.\n", "")
    assert spillway("drain", "nowhere") == (4, "", "spillway: no site nowhere\n")


def test_replicas_are_lent_shown_and_taken_back(spillway, router):
    """The time is printed back with its zone, and how long that is."""
    until_s = int(time.time() + 9 * 3600)
    until = datetime.fromtimestamp(until_s, UTC).isoformat()
    code, out, _ = spillway("lend", "cellar", "--replicas", "2", "--until", until, "-r", "training")
    when = shown(until_s * 10**9)
    assert (code, out) == (
        0,
        f"cellar lends 2 of 4 replicas until {when}, in 9 h; 3 streams run there.\n",
    )
    assert router.lent[0].loaned_until_unix_ns == until_s * 10**9
    row = spillway("lend", "list")[1].splitlines()[1]
    assert row.split("\t") == [
        *("cellar", "2", "4", "draining, 3 streams", "2", when, "-", "-", "training"),
    ]
    assert json.loads(spillway("lend", "list", "--json")[1])[0]["reason"] == "training"
    reclaimed = spillway("reclaim", "cellar", "--replicas", "1")
    assert reclaimed == (0, "cellar lends 1 of 4 replicas.\n", "")
    assert spillway("reclaim", "cellar") == (0, "cellar lends nothing.\n", "")
    code, _, err = spillway("lend", "moon", "-n", "1", "-u", "06:00")
    assert (code, err) == (Outcome.REFUSED, "spillway: site: there is no site 'moon'\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cellar", "-n", "1"), "--until is missing"),
        (("cellar", "-u", "06:00"), "--replicas is missing"),
        (("list", "-u", "06:00"), "--replicas is missing"),
        (("cellar", "-n", "0", "-u", "06:00"), "greater than or equal to 1"),
        (("cellar", "-n", "1", "-u", "soon"), "--until soon: expected a time such as 06:00"),
        (("cellar", "-n", "1", "-u", "2020-01-01 06:00"), "is past"),
        (("cellar", "-n", "1", "-u", "+0s"), "is past"),
    ],
)
def test_a_loan_that_is_none_is_a_wrong_command_line(spillway, router, arguments, says):
    """Nothing is asked of the router."""
    code, _, err = spillway("lend", *arguments)
    assert code == Outcome.USAGE
    assert says in err
    assert router.lent == []


def test_a_prompt_in_quarantine_is_shown_and_let_in_again(spillway, router):
    """By its fingerprint; what is not there is refused."""
    router.quarantined.append(
        Quarantined(fingerprint="5eed", prompt_tokens=9, left_s=90.0, endpoints=["a", "b"])
    )
    row = spillway("quarantine", "list")[1].splitlines()[1]
    assert row.split("\t") == ["5eed", "-", "-", "9 tokens", "-", "90.00 s", "0", "a, b"]
    assert json.loads(spillway("quarantine", "list", "--json")[1])[0]["tenant"] == ""
    assert spillway("quarantine", "release", "5eed") == (0, "5eed is let in again.\n", "")
    code, _, err = spillway("quarantine", "release", "5eed")
    assert (code, err) == (Outcome.REFUSED, "spillway: 5eed is not in quarantine\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate",),
        ("generate", "x", "--max-new-tokens", "0"),
        ("generate", "x", "--slo", "é"),
        ("nonsense",),
        ("status", "--nonsense"),
        ("up",),
        ("up", "a.yaml", "--local"),
        ("site", "up", "cellar"),
        ("site", "up", "http://127.0.0.1:1", "--set", "nonsense"),
        ("site", "up", "http://127.0.0.1:1", "--set", "vllm.max_model_len=no"),
    ],
)
def test_a_wrong_command_line_is_one_line(spillway, arguments):
    """Exit code 2, and where to find help where that is of use."""
    code, out, err = spillway(*arguments)
    assert (code, out) == (Outcome.USAGE, "")
    assert err.startswith("spillway: ")
    assert err.count("\n") == 1


def test_sessions_are_a_line_each_where_they_are_piped(spillway, router):
    """With where they are; what would move a terminal's cursor is escaped."""
    router.sessions = [
        PlacedSession(
            session="a\x1b[2J",
            tenant="acme",
            site="ridge",
            endpoint="ridge/1:1",
            overflow=True,
            turns=3,
            moves=1,
            output_tokens=90,
            cached_tokens=400,
            idle_s=2.0,
        ),
        PlacedSession(session="b", endpoint="gone/1:1"),
    ]
    code, said, _ = spillway("sessions", "--site", "ridge", "--tenant", "acme", "--limit", "5")
    (asked,) = router.asked_sessions
    assert (asked.site, asked.tenant, asked.limit) == ("ridge", "acme", 5)
    head, *rows = [line.split("\t") for line in said.splitlines()]
    assert code == 0
    assert head[:5] == ["session", "tenant", "site", "where", "endpoint"]
    first = ["a\\x1b[2J", "acme", "ridge", "overflow", "ridge/1:1", "3", "1", "90", "400", "2.00 s"]
    assert rows == [first, ["b", "-", "-", "-", "gone/1:1", "0", "0", "0", "0", "-"]]


def test_sessions_are_json_where_a_program_asks(spillway, router):
    """A document for each look."""
    router.sessions = [PlacedSession(session="b", site="home")]
    said = spillway("sessions", "--json", "--count", "2", "--interval", "0.1")[1]
    looks = [json.loads(line) for line in said.splitlines()]
    assert len(looks) == len(router.asked_sessions) == 2
    assert looks[0]["sessions"][0]["session"] == "b"
    assert looks[0]["more"] is True
