"""Who writes a wrong name into a file is told, by the log of their own router."""

import contextlib
from dataclasses import replace

from router.live.router import Router
from router.live.settings import SiteAccess, SiteTls, TlsSettings
from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening
from serving.standalone import serve_standalone
from tests.router.live.conftest import HOME, SETTINGS, fleet_of
from tests.trust.pki import FRONT, RIDGE
from tests.waiting import until
from wire.tls.files import TlsFiles


@contextlib.asynccontextmanager
async def reaching(pki, identity, shown):
    """A router that shows a certificate to a site which shows RIDGE and accepts FRONT."""
    theirs, ours = pki.issue(RIDGE), pki.issue(shown)
    files = TlsFiles(theirs.certificate, theirs.key, pki.certificate)
    server = await serve_standalone(
        FakeEngine(FakeSettings()), Listening(tls=files, accept=[FRONT])
    )
    tls = TlsSettings(ours.certificate, ours.key, pki.certificate)
    at = (f"127.0.0.1:{server.port}",)
    access = SiteAccess("home", endpoints=at, tls=SiteTls(identity))
    router = Router(fleet_of(HOME), [access], replace(SETTINGS, tls=tls))
    try:
        await router.start()
        yield router
    finally:
        await router.stop()
        await server.stop()


async def test_another_name_than_the_site_has(pki, caplog):
    """The handshake fails, and the log says by what."""
    async with reaching(pki, "rigde.sites.example.org", FRONT):
        await until(lambda: "Hostname Verification Check failed" in caplog.text)
        assert "home/127.0.0.1:" in caplog.text


async def test_another_name_than_the_site_accepts(pki, caplog):
    """Both sides say it: the one that refuses, and the one that is refused."""
    async with reaching(pki, RIDGE, "other.example.org"):
        await until(lambda: "refuses this router: a certificate of other.exam" in caplog.text)
        assert "refused a certificate of b'other.example.org'" in caplog.text
