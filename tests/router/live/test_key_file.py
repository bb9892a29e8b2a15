"""The file of API keys."""

import pytest

from router.live.key_file import KeyFile, KeyFileError, line_of, read_keys, unix_s_of
from router.policy.api_key import ApiKey, Fault, KeyRing, digest_of, id_of, key_text

TEXT = key_text(b"123456", "a" * 43)
KEY = ApiKey(id_of(TEXT), digest_of(TEXT), "acme")
FULL = ApiKey(id_of(TEXT), digest_of(TEXT), "acme", True, 1_000.0, 2_000.0)


@pytest.mark.parametrize("key", [KEY, FULL])
def test_a_line_reads_back(tmp_path, key):
    """What `spillway keys new` prints is what the file takes, comments beside it."""
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n{line_of(key)}  # since spring\n")
    assert read_keys(path, ["acme"]) == (key,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("acme", "expected TENANT ID"),
        (f"acme {KEY.id} {KEY.digest.hex()}", "expected TENANT ID"),
        (f"acme {TEXT} sha256:{KEY.digest.hex()}", "expected TENANT ID"),
        (line_of(KEY).replace("acme", "nobody"), "no tenant 'nobody'"),
        (f"{line_of(KEY)} admin", "expected operator"),
        (f"{line_of(KEY)} not-after=tomorrow", "expected a time"),
        (f"{line_of(KEY)} not-after=2027-01-01", "with its zone"),
        (f"{line_of(KEY)}\n{line_of(KEY)}", "comes twice"),
        ("ä", "expected ASCII"),
    ],
)
def test_a_bad_line_is_refused_by_its_number_and_shows_no_key(tmp_path, text, problem):
    """Somebody may have put the key itself there."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(KeyFileError, match=problem) as refused:
        read_keys(path, ["acme"])
    assert TEXT not in str(refused.value)


def test_a_changed_file_is_read_again_and_a_bad_one_changes_nothing(tmp_path):
    """Keys rotate without a restart, and a slip of the editor locks nobody out."""
    path = tmp_path / "keys"
    path.write_text(line_of(KEY))
    keys = KeyFile(path, ["acme"])
    other = key_text(b"654321", "b" * 43)
    replaced(path, line_of(ApiKey(id_of(other), digest_of(other), "acme")))
    keys.look()
    assert isinstance(keys.ring.find(other, 0.0), ApiKey)
    assert keys.ring.find(TEXT, 0.0) is Fault.UNKNOWN
    replaced(path, "no line of a key")
    keys.look()
    assert isinstance(keys.ring.find(other, 0.0), ApiKey)
    path.unlink()
    keys.look()
    assert isinstance(keys.ring.find(other, 0.0), ApiKey)


def test_a_key_that_is_taken_out_during_a_reload_stays_out(tmp_path):
    """The reload has read the file before, and other processes were still to read theirs."""
    path = tmp_path / "keys"
    path.write_text(line_of(KEY))
    keys = KeyFile(path, ["acme"])
    read = KeyRing(read_keys(path, ["acme"]))
    replaced(path, "# nobody")
    keys.look()
    keys.adopt(path, read)
    keys.look()
    assert keys.ring.find(TEXT, 0.0) is Fault.UNKNOWN


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    """At the start nothing else would do."""
    with pytest.raises(KeyFileError, match="cannot be read"):
        KeyFile(tmp_path / "none", ["acme"])


def test_times_are_utc_seconds():
    """With any zone."""
    assert unix_s_of("1970-01-01T00:00:10Z") == unix_s_of("1970-01-01T01:00:10+01:00") == 10.0


def replaced(path, text):
    """As editors do: another file of the same name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
