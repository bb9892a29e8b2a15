"""Certificates are replaced while everything runs, and no stream notices."""

import grpc
import pytest

from tests.trust.pki import FRONT, RIDGE, Pki, bundle
from tests.trust.processes import (
    answer_of,
    client,
    replica,
    router,
    site,
    tls_of,
    until_up,
)

TOKENS = 400  # some seconds of them


@pytest.fixture
def two(tmp_path):
    """The authority of before and the one that follows it."""
    return Pki(tmp_path / "before"), Pki(tmp_path / "after")


def test_a_stream_that_is_open_survives_the_rotation_of_both_ends(two, tmp_path):
    """The authority changes, too; who connects afterwards needs the new one, and gets it."""
    before, after = two
    believed = bundle(tmp_path / "authorities.pem", before)
    mine, theirs = before.issue(FRONT, "127.0.0.1"), before.issue(RIDGE)
    with (
        replica(theirs, believed, [FRONT], **{"fake.max_model_len": 4096}) as ridge,
        router(
            tmp_path, {"ridge": site(ridge, believed, RIDGE)}, tls=tls_of(mine, believed)
        ) as routed,
    ):
        with client(routed, believed) as asking:
            until_up(asking, ridge)
            with asking.stream("Count from 1", max_new_tokens=TOKENS) as stream:
                chunks = [next(stream)]
                bundle(believed, before, after)
                theirs.replace_by(after.issue(RIDGE))
                mine.replace_by(after.issue(FRONT, "127.0.0.1"))
                bundle(believed, after)
                old, new = before.issue(FRONT), after.issue(FRONT)
                assert answer_of(ridge, after.certificate, new, RIDGE) == "f"
                code, _ = answer_of(ridge, after.certificate, old, RIDGE)
                assert code is grpc.StatusCode.UNAVAILABLE
                chunks += stream
        assert sum(chunk.num_tokens for chunk in chunks) == TOKENS
        assert stream.ending.resumed == 0
        with client(routed, after.certificate) as asking:  # the router shows the new one
            assert asking.generate("Count from 7", max_new_tokens=3).num_tokens == 3


def test_a_router_reconnects_with_what_it_has_now(two, tmp_path):
    """The site comes back after a rotation, and believes only the new authority."""
    before, after = two
    believed = bundle(tmp_path / "authorities.pem", before)
    mine, theirs = before.issue(FRONT, "127.0.0.1"), before.issue(RIDGE)
    site_of = {"accept": [FRONT], "authority": believed}
    with replica(theirs, **site_of) as ridge:
        port = ridge.rpartition(":")[2]
        sites = {"ridge": site(ridge, believed, RIDGE)}
        routing = router(tmp_path, sites, tls=tls_of(mine, believed))
        routed = routing.__enter__()
    try:
        mine.replace_by(after.issue(FRONT, "127.0.0.1"))
        theirs.replace_by(after.issue(RIDGE))
        bundle(believed, after)
        with replica(theirs, port=port, **site_of), client(routed, believed) as asking:
            until_up(asking, ridge)
            assert asking.generate("Count from 7", max_new_tokens=3).num_tokens == 3
    finally:
        routing.__exit__(None, None, None)
