"""What is wrong with a request, in this API's names."""

from router.faces.kserve.tensors import PROMPT
from router.faces.parameters import parameter_of
from wire.status import CallError, bad_field, violation_of


def renamed(error: CallError) -> CallError:
    """The same error; where it names a field, then by what that is called here."""
    violation = violation_of(error)
    if violation is None:
        return error
    name = parameter_of(
        violation.field, prompt=PROMPT, session="sequence_id", shape="structured_outputs"
    )
    return bad_field(name or violation.field, violation.description, error.code)
