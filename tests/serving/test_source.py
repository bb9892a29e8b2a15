"""What an engine loads, by the name that settings give it."""

from serving.engine_arguments import engine_arguments
from serving.models import BUILT_IN
from serving.settings import ReplicaSettings


def test_the_built_in_model_has_a_name_on_every_machine():
    """Its folder is wherever the replica's installation is; requests use the name."""
    arguments = engine_arguments(ReplicaSettings(model="built-in"), (), on_cpu=True)
    assert arguments["model"] == str(BUILT_IN)
    assert arguments["served_model_name"] == ["built-in"]


def test_any_other_model_is_loaded_as_it_is_named():
    """A folder or a name at a hub."""
    assert ReplicaSettings(model="/models/llama").source == "/models/llama"
