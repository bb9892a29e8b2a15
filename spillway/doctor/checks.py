"""Which checks there are, with and without a fleet file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from router.live.key_file import KeyFileError, read_keys
from router.live.openness import why_not_open
from router.live.settings import RouterSettings
from spillway.doctor import exposure, files, gpu, host, sites, store, versions
from spillway.doctor.finding import Check, Finding, ok, problem
from spillway.doctor.ports import ports
from spillway.fleet import FleetError, FleetFile, load
from wire.lease_keys import LeaseKeyError, read_lease_keys


def checks(path: Path | None) -> list[tuple[str, Check]]:
    """All that can be looked at; what needs the fleet file is left out where it has problems."""
    found: list[tuple[str, Check]] = [
        ("python", versions.python),
        ("packages", versions.packages),
        ("gpu", gpu.gpus),
        ("open files", host.open_files),
        ("shared memory", host.shared_memory),
        ("disk", host.disk),
        ("exposed", exposure.host),
    ]
    if path is None:
        return [*found, ("ports", partial(ports, RouterSettings()))]
    try:
        file = load(path)
    except FleetError as error:
        wrong = [problem("fleet file", str(one), "docs/fleet.md") for one in error.problems]
        return [*found, ("fleet file", lambda: wrong)]
    return [
        *found,
        ("ports", partial(ports, file.router)),
        ("fleet file", partial(_fleet_file, path, file)),
        ("exposed", partial(exposure.fleet, file)),
        ("certificates", partial(files.certificates, file)),
        ("secrets", partial(files.secrets, file)),
        ("store", partial(store.store, file)),
        ("sites", partial(sites.sites, file)),
    ]


def _fleet_file(path: Path, file: FleetFile) -> Iterator[Finding]:
    """It is valid; whether a router here would start with it."""
    yield ok("fleet file", f"{path} describes {len(file.fleet.sites)} sites")
    if why_not := why_not_open(file.router):
        yield problem("fleet file", f"no router would start: {why_not}", "docs/tenants.md")
    keys = file.router.authentication.keys_file
    try:
        read_lease_keys(file.router.lease_key_file, {})
        if keys is not None:
            read_keys(keys, {one.name for one in file.fleet.tenants})
    except LeaseKeyError as error:
        said = f"no router would start here: router.lease_key_file: {error}"
        yield problem("fleet file", said, "docs/direct.md")
    except KeyFileError as error:
        said = f"no router would start here: router.authentication.keys_file: {error}"
        yield problem(
            "fleet file", said, "spillway keys new TENANT makes its lines (docs/tenants.md)"
        )
