"""A site's folder of adapters: what is in it is offered, what leads out of it is not."""

import json

import pytest

from serving.adapter_folder import with_adapters
from serving.settings import SettingsError, read_settings


def make(folder, name, rank=8, **config):
    (folder / name).mkdir(parents=True)
    (folder / name / "adapter_config.json").write_text(json.dumps({"r": rank} | config))
    return folder / name


def found(folder, **settings):
    arguments = {"model": "m", "vllm.adapter_folder": str(folder)} | settings
    return with_adapters(read_settings(arguments)).vllm


def test_each_folder_is_an_adapter_by_its_name(tmp_path):
    """What has no adapter's config, and what is hidden, is none."""
    make(tmp_path, "poet"), make(tmp_path, "judge-v2.1"), make(tmp_path, ".half-copied")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("notes")
    names = {name: str(tmp_path / name) for name in ("judge-v2.1", "poet")}
    assert found(tmp_path).loras == names


def test_those_by_name_are_there_as_well(tmp_path):
    own = make(tmp_path / "own", "x")
    make(tmp_path / "all", "poet")
    vllm = found(tmp_path / "all", **{"vllm.loras": {"acme/x": str(own)}})
    assert list(vllm.loras) == ["acme/x", "poet"]


def test_one_name_for_two_is_refused(tmp_path):
    make(tmp_path, "poet")
    with pytest.raises(SettingsError, match=r"poet: .* has an adapter of this name as well"):
        found(tmp_path, **{"vllm.loras": {"poet": "/elsewhere"}})


@pytest.mark.parametrize("name", ["a b", "-rf", "a\nb", "ä", "a" * 129, "$HOME"])
def test_a_folder_whose_name_is_none_is_named(tmp_path, name):
    make(tmp_path, name)
    with pytest.raises(SettingsError, match="is no name for an adapter"):
        found(tmp_path)


def test_a_link_that_leads_out_is_refused(tmp_path):
    """Whoever may write into the folder cannot have another file of the machine read."""
    outside, folder = make(tmp_path, "outside"), tmp_path / "folder"
    folder.mkdir()
    (folder / "poet").symlink_to(outside)
    with pytest.raises(SettingsError, match="poet leads out of"):
        found(folder)


def test_a_link_within_is_followed(tmp_path):
    """As volumes of Kubernetes have them."""
    make(tmp_path / "..data", "poet")
    (tmp_path / "poet").symlink_to(tmp_path / "..data" / "poet")
    assert list(found(tmp_path).loras) == ["poet"]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match=r"adapter_folder: .* cannot be read"):
        found(tmp_path / "none")


@pytest.mark.parametrize(
    ("ranks", "told"), [((1,), 16), ((8, 16), 16), ((8, 40), 64), ((200,), 256)]
)
def test_vllm_is_told_the_largest_rank(tmp_path, ranks, told):
    for number, rank in enumerate(ranks):
        make(tmp_path, f"a{number}", rank)
    assert found(tmp_path).arguments["max_lora_rank"] == told


def test_ranks_by_module_count_and_what_a_site_says_goes_before(tmp_path):
    make(tmp_path, "a", 8, rank_pattern={"q_proj": 100})
    assert found(tmp_path).arguments["max_lora_rank"] == 128
    said = {"vllm.arguments": {"max_lora_rank": 512}}
    assert found(tmp_path, **said).arguments["max_lora_rank"] == 512


@pytest.mark.parametrize("config", [{"r": 0}, {"r": "8"}, {"r": 1_000}])
def test_a_rank_that_cannot_be_is_said(tmp_path, config):
    make(tmp_path, "a", **config) if "r" not in config else make(tmp_path, "a", config["r"])
    with pytest.raises(SettingsError, match=r"states no rank|takes ranks up to 512, not 1000"):
        found(tmp_path)


def test_adapters_that_are_elsewhere_are_vllm_s_to_find():
    """A name at a hub has no folder here."""
    settings = read_settings({"model": "m", "vllm.loras": {"a": "acme/poet-lora"}})
    assert with_adapters(settings).vllm.loras == {"a": "acme/poet-lora"}
    assert "max_lora_rank" not in with_adapters(settings).vllm.arguments


def test_a_config_that_is_broken_is_found_when_it_is_loaded(tmp_path):
    """One broken file keeps no engine from starting."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "adapter_config.json").write_text("{")
    assert list(found(tmp_path).loras) == ["a"]
