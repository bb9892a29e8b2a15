"""The status of a call, and its details."""

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from wire.status import DETAILS_KEY, bad_field, details_of, failure, reason_of, retry_info


def test_a_message_that_quotes_much_is_cut():
    """Trailers have a limit, and a status that exceeds it is lost altogether."""
    assert len(failure(grpc.StatusCode.INTERNAL, "x" * 10_000).trailers[0][1]) < 2_000


def test_the_trailers_are_a_list():
    """Ray Serve's context adds them to a list of its own, which nothing else can be added to."""

    class Context:
        def __init__(self):
            self.trailers = [("request_id", "r")]

        def set_code(self, code): ...

        def set_details(self, details): ...

        def set_trailing_metadata(self, metadata):
            self.trailers = self.trailers + metadata

    context = Context()
    bad_field("text", "must not be empty").set_on(context, (("x", "y"),))
    assert [key for key, _ in context.trailers] == ["request_id", DETAILS_KEY, "x"]


def test_details_are_found_by_their_kind():
    """Whatever else stands beside them."""
    info, retry = ErrorInfo(reason="BECAUSE"), retry_info(3_000_000_000)
    trailers = (("x", "y"), *failure(grpc.StatusCode.ABORTED, "why", info, retry).trailers)
    assert details_of(trailers, RetryInfo) == [retry]
    assert details_of(trailers, BadRequest) == []
    assert reason_of(trailers) == "BECAUSE"


def test_what_are_no_details_name_nothing():
    """An endpoint may say anything: neither bytes that are none, nor one bad detail, may raise."""
    bad = Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    status = Status(details=[bad]).SerializeToString()
    for value in (b"\xff\xff", status, "text"):
        assert details_of(((DETAILS_KEY, value),), ErrorInfo) == []
    assert reason_of(()) == ""
