"""Like is told from unlike by what engines load, wherever it lies."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from serving import identity
from serving.identity import settings_digest, tokenizer_digest, weights_digest


def make_model(folder, *, weight=1.0, config="{}"):
    folder.mkdir()
    tensors = {name: np.full((64, 64), weight, np.float32) for name in ("a", "b")}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(config)
    (folder / "tokenizer.json").write_text(json.dumps({"a": 0}))
    return folder


@pytest.fixture(params=["whole", "sampled"])
def reading(request, monkeypatch):
    """Files that are read whole, and files that are too large for it."""
    if request.param == "sampled":
        monkeypatch.setattr(identity, "WHOLE_BYTES_MAX", 0)


def test_the_same_files_elsewhere_have_the_same_digest(tmp_path, reading):
    """Neither the folder's name nor its place matters."""
    here, there = make_model(tmp_path / "here"), make_model(tmp_path / "there")
    assert weights_digest(here, {}) == weights_digest(there, {}) != ""
    assert tokenizer_digest(here) == tokenizer_digest(there) != ""


def test_other_weights_or_settings_have_another_digest(tmp_path, reading):
    """Weights of the same shape, another configuration, another sampling default."""
    model = make_model(tmp_path / "model")
    others = [
        weights_digest(make_model(tmp_path / "trained", weight=1.5), {}),
        weights_digest(make_model(tmp_path / "shaped", config='{"rope_theta": 1}'), {}),
        weights_digest(model, {"sampling": {"top_k": 5}}),
    ]
    assert len({weights_digest(model, {}), *others}) == 4


def test_what_is_not_there_has_no_digest(tmp_path):
    """Unknown is not a value that two engines could share."""
    assert weights_digest(tmp_path, {}) == ""
    assert tokenizer_digest(tmp_path) == ""


def test_settings_have_no_order():
    assert settings_digest({"a": 1, "b": 2}) == settings_digest({"b": 2, "a": 1})
    assert settings_digest({"a": 1}) != settings_digest({"a": 2})
