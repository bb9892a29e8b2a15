"""A replica's settings, from a command line, a Serve config file or a fleet file."""

import pytest

from serving import engine_arguments as engine_arguments_file
from serving.engine_arguments import (
    FOLDER_PREFIX,
    SOCKETS_VARIABLE,
    attention_name,
    engine_arguments,
    engine_version,
    prepare_cpu_environment,
    prepare_environment,
    prepare_sockets,
)
from serving.settings import RUNS_CODE, SettingsError, read_settings

KNOWN = {"seed", "max_num_seqs", "block_size", "enforce_eager"}


def test_a_command_line_and_a_file_say_the_same():
    """Dotted names with text and nested mappings with values are two ways to write one thing."""
    typed = {
        "model": "m",
        "replicas": "2",
        "served_names": "[a, b]",
        "vllm.max_model_len": "512",
        "vllm.loras.poet": "/adapters/poet",
        "vllm.arguments.seed": "7",
    }
    nested = {
        "model": "m",
        "replicas": 2,
        "served_names": ["a", "b"],
        "vllm": {
            "max_model_len": 512,
            "loras": {"poet": "/adapters/poet"},
            "arguments": {"seed": 7},
        },
    }
    settings = read_settings(typed)
    assert settings == read_settings(nested)
    assert settings.names == ("a", "b")
    assert settings.vllm.arguments == {"seed": 7}


def test_settings_survive_the_way_to_a_replica():
    """They travel as plain values."""
    settings = read_settings({"model": "m", "engine": "fake", "fake": {"itl_s": 0.5}})
    assert read_settings(settings.model_dump()) == settings


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"model": ""}, "model: "),
        ({"model": "m", "modle": "x"}, "modle: is not a setting"),
        ({"model": "m", "vllm.max_model_length": 8}, "vllm.max_model_length: is not a setting"),
        ({"model": "m", "vllm": {"tensor_parallel_size": 0}}, "vllm.tensor_parallel_size: "),
        ({"model": "m", "engine": "sglang"}, "engine: "),
        ({"model": "m", "vllm.arguments.dtype": "half"}, "vllm: .*set dtype beside arguments"),
        ({"model": "m", "vllm": "fast", "vllm.dtype": "half"}, "vllm.dtype: vllm is set to"),
    ],
)
def test_a_bad_setting_is_named(args, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(args)


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({}, "built-in"),
        ({"model": "/models/mine"}, "mine"),
        ({"model": "org/model"}, "org/model"),
        ({"model": "org/model", "served_names": ["short", "org/model"]}, "short"),
    ],
)
def test_a_model_goes_by_a_name_that_is_no_path(args, name):
    """No request has to know where a model lies; without one named, the built-in is served."""
    assert read_settings(args).names[0] == name


def test_our_defaults_yield_to_settings_and_those_to_arguments():
    """A CPU gets its small defaults; whatever a site says goes before them."""
    settings = read_settings(
        {"model": "m", "vllm": {"max_model_len": 64, "arguments": {"block_size": 128}}}
    )
    on_cpu = engine_arguments(settings, KNOWN, on_cpu=True)
    assert on_cpu["model"] == "m"
    assert on_cpu["served_model_name"] == ["m"]
    assert (on_cpu["enforce_eager"], on_cpu["block_size"], on_cpu["max_model_len"]) == (
        True,
        128,
        64,
    )
    on_gpu = engine_arguments(settings, KNOWN, on_cpu=False)
    assert "enforce_eager" not in on_gpu
    assert "kv_cache_memory_bytes" not in on_gpu
    assert "dtype" not in on_gpu
    assert on_cpu["dtype"] == "float32"


def test_an_argument_vllm_does_not_have_is_refused_with_a_guess():
    settings = read_settings({"model": "m", "vllm.arguments.max_num_seq": 8})
    with pytest.raises(SettingsError, match=r"max_num_seq: .*is max_num_seqs meant"):
        engine_arguments(settings, KNOWN, on_cpu=True)


def test_our_attention_goes_by_the_registrys_name():
    """On a GPU it is vLLM's place for others' backends; on a CPU there is but one place."""
    own = read_settings({"model": "m", "vllm.attention_backend": "spillway"})
    assert engine_arguments(own, KNOWN, on_cpu=False)["attention_backend"] == "CUSTOM"
    assert "attention_backend" not in engine_arguments(own, KNOWN, on_cpu=True)
    other = read_settings({"model": "m", "vllm.attention_backend": "TRITON_ATTN"})
    assert engine_arguments(other, KNOWN, on_cpu=False)["attention_backend"] == "TRITON_ATTN"


def test_adapters_turn_on_what_they_need():
    settings = read_settings({"model": "m", "vllm.loras": {"a": "/a", "b": "/b"}})
    arguments = engine_arguments(settings, KNOWN, on_cpu=True)
    assert (arguments["enable_lora"], arguments["max_loras"]) == (True, 2)
    assert arguments["max_cpu_loras"] == 2


@pytest.mark.parametrize(
    ("count", "said", "together", "kept"),
    [
        (3, {}, 3, 3),
        (20, {}, 8, 20),
        (100, {}, 8, 32),
        (100, {"max_loras": 40}, 40, 40),
        (100, {"max_cpu_loras": 4}, 4, 4),
        (100, {"max_loras": 2, "max_cpu_loras": 64}, 2, 64),
    ],
)
def test_adapters_have_a_bounded_place(count, said, together, kept):
    """However many a site has: each that is computed takes memory of a device."""
    loras = {f"a{number}": f"/{number}" for number in range(count)}
    settings = read_settings({"model": "m", "vllm": {"loras": loras} | said})
    arguments = engine_arguments(settings, KNOWN, on_cpu=False)
    assert (arguments["max_loras"], arguments["max_cpu_loras"]) == (together, kept)


@pytest.mark.parametrize("name", ["", "a b", "a" * 257, "a\n", "\ud800"])
def test_what_is_no_name_of_an_adapter_is_refused(name):
    with pytest.raises(SettingsError, match=r"vllm\.loras"):
        read_settings({"model": "m", "vllm": {"loras": {name: "/a"}}})


def test_more_cannot_be_computed_than_are_loaded():
    with pytest.raises(SettingsError, match="max_cpu_loras is below max_loras"):
        read_settings({"model": "m", "vllm.max_loras": 3, "vllm.max_cpu_loras": 2})


@pytest.mark.parametrize("on_cpu", [True, False])
def test_several_devices_are_processes_of_the_replica(on_cpu):
    """In a placement group vLLM would else make actors, and find no bundle for each."""
    settings = read_settings({"model": "m", "vllm.tensor_parallel_size": 2})
    arguments = engine_arguments(settings, KNOWN, on_cpu=on_cpu)
    assert arguments["distributed_executor_backend"] == "mp"


def test_the_environment_is_completed_not_overwritten(tmp_path):
    environment = {"VLLM_LOGGING_LEVEL": "DEBUG"}
    settings = read_settings({"model": str(tmp_path), "vllm.attention_backend": "spillway"})
    prepare_environment(settings, environment)
    prepare_cpu_environment(settings, environment)
    assert environment["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert environment["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
    assert environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["SPILLWAY_ATTENTION"] == "1"


def test_a_cpu_engine_that_runs_eagerly_compiles_nothing(monkeypatch, tmp_path):
    """Nor does the first request that asks for something which vLLM compiles on its own."""
    monkeypatch.setattr(engine_arguments_file, "_is_cpu_build", lambda: True)
    eager, compiled = {}, {}
    prepare_environment(read_settings({"model": str(tmp_path)}), eager)
    asked = {"model": str(tmp_path), "vllm.arguments": {"enforce_eager": False}}
    prepare_environment(read_settings(asked), compiled)
    assert eager["TORCH_COMPILE_DISABLE"] == "1"
    assert "TORCH_COMPILE_DISABLE" not in compiled


@pytest.mark.parametrize(
    ("engine", "attention", "shown"),
    [
        ("0.32.0", "CPU_ATTN", "0.32.0"),
        ("0.32.0", "spillway", "0.32.0+spillway.1.2"),
        ("0.32.0+cpu", "spillway", "0.32.0+cpu.spillway.1.2"),
    ],
)
def test_the_engines_version_tells_of_our_attention(monkeypatch, engine, attention, shown):
    """GetServerInfo has no other place for it; it stays a version that tools can compare."""
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "1.2")
    assert engine_version(engine, attention) == shown


def test_a_load_report_names_our_attention_with_its_version(monkeypatch):
    """Others' have the version of vLLM."""
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "1.2")
    assert attention_name("spillway") == "spillway 1.2"
    assert attention_name("CPU_ATTN") == "CPU_ATTN"


def test_shared_prefixes_reach_our_attention_and_no_other():
    """Asked of another backend it would be ignored, so it is refused."""
    attention = {"model": "m", "vllm.attention_backend": "spillway"}
    for shared, value in ((False, "0"), (True, "1")):
        environment = {}
        settings = read_settings(attention | {"vllm.shared_prefix": shared})
        prepare_environment(settings, environment)
        assert environment["SPILLWAY_SHARED_PREFIX"] == value
    with pytest.raises(SettingsError, match="shared_prefix"):
        read_settings({"model": "m", "vllm.shared_prefix": True})


def test_our_attention_on_a_cpu_is_interpreted(monkeypatch):
    """Triton looks when vLLM imports it, so serving decides by the build that is installed."""
    settings = read_settings({"model": "m", "vllm.attention_backend": "spillway"})
    for installed in (True, False):
        environment = {}
        monkeypatch.setattr("serving.engine_arguments._is_cpu_build", lambda known=installed: known)
        prepare_environment(settings, environment)
        assert environment.get("TRITON_INTERPRET") == ("1" if installed else None)


def test_a_model_from_the_hub_may_be_fetched():
    environment = {}
    prepare_environment(read_settings({"model": "some-org/some-model"}), environment)
    assert "HF_HUB_OFFLINE" not in environment


def test_each_engine_has_its_sockets_in_a_folder_of_its_own():
    """The next engine of a process leaves that of the one before, which is gone."""
    environment = {}
    for folder in (f"/t/{FOLDER_PREFIX}a", f"/t/{FOLDER_PREFIX}b"):
        prepare_sockets(folder, environment)
        assert environment == {SOCKETS_VARIABLE: folder}


def test_a_folder_that_a_site_chose_for_sockets_is_kept():
    environment = {SOCKETS_VARIABLE: "/chosen"}
    prepare_sockets(f"/t/{FOLDER_PREFIX}a", environment)
    assert environment == {SOCKETS_VARIABLE: "/chosen"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"trust_remote_code": True},
        {"trust_remote_code": False},
        {"trust-remote-code": True},
        {"speculative_config": {"model": "x", "trust_remote_code": True}},
        {"speculative_config": '{"model": "x", "trust_remote_code": true}'},
        {"hf_overrides": {"a": [{"Trust_Remote_Code": 1}]}},
    ],
)
def test_code_that_comes_with_a_model_is_refused_by_whatever_way_it_is_asked_for(arguments):
    """And what would have to be written is said."""
    with pytest.raises(SettingsError, match="whoever-made-this-model-runs-code-here"):
        read_settings({"model": "m", "vllm": {"arguments": arguments}})


def test_a_model_runs_no_code_of_its_own_unless_that_is_accepted_in_so_many_words():
    """VLLM is told either way, whatever its own default is."""
    for said, expected in ({}, False), ({"model_code": RUNS_CODE}, True):
        settings = read_settings({"model": "m", "vllm": said})
        made = engine_arguments(settings, ("trust_remote_code",), on_cpu=False)
        assert made["trust_remote_code"] is expected
    for word in ("true", "yes", True, "i-accept"):
        with pytest.raises(SettingsError, match="model_code"):
            read_settings({"model": "m", "vllm": {"model_code": word}})


def test_processes_of_an_engine_take_no_pickles(tmp_path):
    """Whatever the environment of a site says."""
    environment = {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
    prepare_environment(read_settings({"model": str(tmp_path)}), environment)
    assert environment["VLLM_ALLOW_INSECURE_SERIALIZATION"] == "0"
