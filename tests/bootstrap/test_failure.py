"""Each way in which an installer fails is explained by one sentence that says what to do."""

import pytest

from bootstrap.failure import explain

OUTPUTS = [
    (
        (
            "WARNING: Retrying (total=0) after connection broken by 'NewConnectionError(...: "
            "Failed to establish a new connection: [Errno 111] Connection refused')': /simple/uv/\n"
            "ERROR: Could not find a version that satisfies the requirement uv (from: none)"
        ),
        "The package index cannot be reached",
    ),
    (
        (
            "WARNING: Retrying after connection broken by 'NameResolutionError: Failed to resolve "
            "'index.example' ([Errno -3] Temporary failure in name resolution)'"
        ),
        "The package index cannot be reached",
    ),
    (
        (
            "error: Failed to fetch: `http://127.0.0.1:9/simple/ray/`\n  Caused by: error sending "
            "request for url (http://127.0.0.1:9/simple/ray/)"
        ),
        "The package index cannot be reached",
    ),
    ("OSError: [Errno 28] No space left on device", "The disk is full"),
    ("error: failed to write: No space left on device (os error 28)", "The disk is full"),
    (
        "ERROR: No matching distribution found for torch==2.13.0+cpu",
        "set SPILLWAY_TORCH_INDEX to an index that has one",
    ),
    ("ERROR: No matching distribution found for uv==0.13.9", "lacks a version"),
    ("  x No solution found when resolving dependencies:", "lacks a version"),
    ("error: command 'gcc' failed: No such file or directory", "there is no C compiler"),
    ("error: command '/usr/bin/g++' failed with exit code 1", "there is no C compiler"),
    ("PermissionError: [Errno 13] Permission denied: '/home/me/.cache/uv'", "cannot be written"),
    ("something nobody has seen", "failed for the reason above"),
]


@pytest.mark.parametrize(("output", "sentence"), OUTPUTS)
def test_the_sentence_fits_the_output(output: str, sentence: str):
    """Whichever of pip, uv or a compiler said it."""
    said = explain(output, 1)
    assert sentence in said
    assert "\n" not in said


def test_a_killed_installer_is_blamed_on_memory():
    """It printed nothing of use."""
    assert "memory" in explain("Installed 12 packages", -9)
