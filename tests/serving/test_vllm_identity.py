"""Who a vLLM engine is, read from a configuration and files without vLLM."""

from types import SimpleNamespace

from serving.settings import read_settings
from serving.vllm_identity import read_identity
from tests.serving.test_identity import make_model


def config(model, **changes):
    """What is read of a VllmConfig."""
    of_model = {
        "model": str(model),
        "revision": None,
        "tokenizer": str(model),
        "tokenizer_revision": None,
        "hf_overrides": {},
        "logits_processors": None,
        "logprobs_mode": "raw_logprobs",
        "dtype": "float32",
        "quantization": None,
        "enforce_eager": True,
        "get_diff_sampling_param": dict,
    }
    return SimpleNamespace(
        model_config=SimpleNamespace(**of_model | changes),
        parallel_config=SimpleNamespace(
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
            decode_context_parallel_size=1,
            enable_expert_parallel=False,
        ),
        cache_config=SimpleNamespace(cache_dtype="auto", block_size=32),
        scheduler_config=SimpleNamespace(max_num_batched_tokens=2048),
        attention_config=SimpleNamespace(backend=None),
        speculative_config=None,
    )


def identity(model, *, device="cpu", settings=None, **changes):
    read = read_settings({"model": str(model)} | (settings or {}))
    return read_identity(config(model, **changes), read, "0.32.0", device)


def test_another_precision_or_device_rounds_differently_and_is_the_same_model(tmp_path):
    model = make_model(tmp_path / "m")
    one = identity(model)
    for other in (identity(model, dtype="bfloat16"), identity(model, device="a GPU")):
        assert other.numerics_digest != one.numerics_digest
        assert other.weights_digest == one.weights_digest
        assert other.tokenizer_digest == one.tokenizer_digest


def test_several_ranks_round_differently_and_are_the_same_model(tmp_path):
    """Their sums are put together in another order."""
    model = make_model(tmp_path / "m")
    one, two = identity(model), config(model)
    two.parallel_config.tensor_parallel_size = 2
    read = read_settings({"model": str(model), "vllm.tensor_parallel_size": 2})
    pair = read_identity(two, read, "0.32.0", "cpu")
    assert pair.numerics_digest != one.numerics_digest
    assert (pair.weights_digest, pair.tokenizer_digest) == (
        one.weights_digest,
        one.tokenizer_digest,
    )


def test_another_sampling_default_is_another_model(tmp_path):
    """A request that names no temperature gets other tokens there."""
    model = make_model(tmp_path / "m")
    warm = identity(model, get_diff_sampling_param=lambda: {"temperature": 0.7})
    assert warm.weights_digest != identity(model).weights_digest


def test_adapters_are_known_by_what_they_hold(tmp_path):
    model, adapter = make_model(tmp_path / "m"), make_model(tmp_path / "a", weight=2.0)
    loras = {"vllm.loras.poet": str(adapter), "vllm.loras.gone": str(tmp_path / "none")}
    adapters = identity(model, settings=loras).adapters
    assert adapters["poet"]
    assert adapters["gone"] == ""


def test_a_model_that_lies_elsewhere_has_no_digest(tmp_path, monkeypatch):
    """Neither in a folder nor in the hub's cache: it is like nothing, and the engine starts."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert identity("s3://bucket/model").weights_digest == ""
    assert identity("no-such-org/no-such-model").weights_digest == ""
