"""What is wrong with a request, in this API's names."""

from google.rpc.error_details_pb2 import BadRequest

from router.faces.kserve.tensors import PROMPT
from router.faces.parameters import details_of, parameter_of
from wire.status import CallError, bad_field


def renamed(error: CallError) -> CallError:
    """The same error; where it names a field, then by what that is called here."""
    violations = BadRequest()
    for detail in details_of(error):
        if detail.Unpack(violations) and violations.field_violations:
            first = violations.field_violations[0]
            name = parameter_of(
                first.field, prompt=PROMPT, session="sequence_id", shape="structured_outputs"
            )
            return bad_field(name or first.field, first.description, error.code)
    return error
