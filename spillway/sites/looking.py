"""What there is to say of a site that is deployed: its replicas, and what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

from router.live.settings import RouterSettings, SiteAccess
from spillway.doctor.finding import Finding, problem, warning
from spillway.fleet import load
from spillway.probing.endpoint import EndpointFound
from spillway.probing.site import ask_site
from spillway.ray_serve import FAILED, ApplicationStatus
from spillway.site_application import SiteApplication
from spillway.sites.adding import look
from spillway.sites.checks import check_site
from wire.tls.plaintext import ACCEPTED


async def look_at(
    site: str, fleet: Path | None, application: SiteApplication, status: ApplicationStatus | None
) -> tuple[tuple[EndpointFound, ...], list[Finding]]:
    """The replicas of a site as they answer from here, and findings.

    A site of a fleet file is compared with its fellows; one that is named by its dashboard alone is
    asked in plaintext, as nothing says otherwise.
    """
    findings = list(_of_application(status))
    if status is None:
        return (), findings
    url = application.serve.dashboard_url
    if fleet is not None and site != url and not site.startswith(("http://", "https://")):
        looked = await look(load(fleet), site)
        return looked.found.endpoints, [*findings, *looked.findings]
    way = SiteAccess("site", url, application.name, plaintext=ACCEPTED)
    found = await ask_site(way, RouterSettings())
    return found.endpoints, [*findings, *check_site(found, way, ())]


def _of_application(status: ApplicationStatus | None) -> Iterator[Finding]:
    if status is None:
        yield problem("application", "it is not deployed", "spillway site up")
    elif status.status in FAILED:
        do = "mend what the message says, and run spillway site up again"
        yield problem("application", f"{status.status}: {status.message or 'no message'}", do)
    elif status.status != "RUNNING":
        said = f"{status.status}: {status.replicas_running} run, {status.replicas_starting} start"
        yield warning("application", said, "spillway site up waits until it serves")
