"""The status of a call, and its details."""

import grpc

from wire.status import DETAILS_KEY, bad_field, failure


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
