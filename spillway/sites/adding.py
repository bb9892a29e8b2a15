"""Lets a site into a fleet file once it has been looked at and timed."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from router.live.settings import SiteAccess
from router.policy.fleet import SloClass
from spillway.calibration.asking import Asker, AskError
from spillway.calibration.profiling import Calibration, calibrate
from spillway.doctor.finding import Finding, Level, ok, problem, warning
from spillway.fleet import FleetFile
from spillway.fleet.section import written
from spillway.probing.site import SiteFound, ask_site
from spillway.sites.checks import check_site
from wire.lease_keys import LeaseKeyError
from wire.tls.files import TlsError


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen of a site, and of the others beside it."""

    found: SiteFound
    findings: tuple[Finding, ...]

    @property
    def is_fit(self) -> bool:
        """Whether nothing speaks against letting it in."""
        return all(one.level is not Level.PROBLEM for one in self.findings)


async def look(file: FleetFile, name: str, model: str = "") -> Looked:
    """Ask the site `name` of a fleet file, and its fellows, all at once. Nothing is generated."""
    found = await asyncio.gather(*(ask_site(way, file.router) for way in file.access))
    mine = next(one for one in found if one.site == name)
    fellows = [one for one in found if one.site != name]
    findings = list(check_site(mine, file.access_to(name), fellows, model))
    silent = [one.site for one in fellows if not one.reached]
    if silent:
        said = f"{', '.join(silent)} could not be asked, so nothing is compared with it"
        findings.append(warning("fellows", said, "spillway doctor says why"))
    return Looked(mine, tuple(findings))


async def time_site(
    file: FleetFile, way: SiteAccess, found: SiteFound, say: Callable[[str], None]
) -> tuple[Calibration | None, list[Finding]]:
    """Calibrate one endpoint of a site; what the fleet's default class may expect of it."""
    slo = file.fleet.slo(file.fleet.default_slo)
    endpoint = found.reached[0]
    try:
        asker = Asker(way, file.router, endpoint, random.Random())
    except (TlsError, LeaseKeyError) as error:
        return None, [problem("calibration", str(error), "docs/trust.md, docs/direct.md")]
    try:
        measured = await calibrate(asker, endpoint, slo, say)
    except AskError as error:
        said = f"{endpoint.address} does not answer as it should: {error}"
        return None, [problem("calibration", said, "look at its log; it would get no sessions")]
    finally:
        await asker.close()
    return measured, list(_judged(measured, slo))


def _judged(measured: Calibration, slo: SloClass) -> list[Finding]:
    profile = measured.profile
    said = (
        f"first token after {profile.ttft_ns / 1e6:.1f} ms and"
        f" {profile.ttft_ns_per_prompt_token / 1e6:.3f} ms a token of prompt (up to"
        f" {measured.longest_tokens} tokens, off by {measured.ttft_error:.0%});"
        f" {profile.itl_ns / 1e6:.1f} ms between tokens and"
        f" {profile.itl_ns_per_stream / 1e6:.3f} ms a stream beside"
    )
    findings = [ok("calibration", said)]
    if not measured.meets_alone:
        late = f"alone it is not in time for {slo.name} (ttft, itl of the fleet file)"
        do = "it gets what nobody else has room for; widen the objective, or use quicker hardware"
        findings.append(warning("calibration", late, do))
    else:
        many = f"a replica keeps {slo.name} with {measured.streams} streams side by side"
        tried = f", of {measured.streams_tried} that were tried"
        findings.append(ok("calibration", f"{many}{tried}"))
    return findings


def with_profile(site: Mapping[str, Any], measured: Calibration | None) -> dict[str, Any]:
    """A site's keys with what was measured of it."""
    return {**site, "profile": written(measured.profile)} if measured else dict(site)
