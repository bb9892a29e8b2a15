"""The status of a call, and its details."""

import grpc

from wire.status import failure


def test_a_message_that_quotes_much_is_cut():
    """Trailers have a limit, and a status that exceeds it is lost altogether."""
    assert len(failure(grpc.StatusCode.INTERNAL, "x" * 10_000).trailers[0][1]) < 2_000
