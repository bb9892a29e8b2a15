"""The files that a fleet file names: certificates that expire, secrets that others may read."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from spillway.certs.errors import CertsError
from spillway.doctor.finding import Finding, ok, problem, warning
from spillway.fleet import FleetFile

LEFT_SHARE = 0.25  # of a certificate's life: renewers replace it at a third
ROOT = 0
DAYS_MAX = 14  # however long it lives, that is when somebody should look


def certificates(file: FleetFile, now: datetime | None = None) -> Iterator[Finding]:
    """Those that the router shows and believes."""
    from spillway.certs.showing import certificates as read  # noqa: PLC0415 - its library is large

    now = now or datetime.now(UTC)
    tls = file.router.tls
    named = {"router.tls.certificate": tls.certificate, "router.tls.authority": tls.authority}
    for way in file.access:
        if way.tls is not None and way.tls.authority is not None:
            named[f"sites.{way.site}.tls.authority"] = way.tls.authority
    for key, path in named.items():
        if path is None:
            continue
        try:
            found = read(path)
        except CertsError as error:
            yield problem("certificates", f"{key}: {error}", "spillway certs show, docs/trust.md")
            continue
        for one in found:
            yield _life(key, one.names or (one.subject,), one.not_before, one.not_after, now)


def _life(
    key: str, names: tuple[str, ...], begins: datetime, ends: datetime, now: datetime
) -> Finding:
    who = f"{key}: {', '.join(names)}"
    left, life = ends - now, ends - begins
    left_days = left.total_seconds() / 86_400
    renew = "renew it: what stands goes on, and no new connection is made with it"
    if now < begins:
        said = f"{who} is good from {begins:%Y-%m-%d %H:%M} UTC on"
        return problem("certificates", said, "this clock is behind, or the certificate is early")
    if left_days <= 0:
        return problem("certificates", f"{who} expired {ends:%Y-%m-%d %H:%M} UTC", renew)
    said = f"{who} is good for {left_days:.1f} days more"
    if left < LEFT_SHARE * life and left_days < DAYS_MAX:
        return warning("certificates", said, "renew it, or look at who should have")
    return ok("certificates", said)


def secrets(file: FleetFile) -> Iterator[Finding]:
    """Who else may read private keys and passwords, or write the file of API keys."""
    router, read_by_others = file.router, stat.S_IRWXG | stat.S_IRWXO
    private = {
        "router.tls.key": router.tls.key,
        "router.lease_key_file": router.lease_key_file,
        "router.store.password_file": router.store.password_file,
        "router.ledger.password_file": router.ledger.password_file,
        "router.audit.secret_file": router.audit.secret_file,
    }
    for key, path in private.items():
        if path is not None:
            yield _mode(key, path, read_by_others, "others may read it")
    keys = router.authentication.keys_file
    if keys is not None:
        written = stat.S_IWGRP | stat.S_IWOTH
        yield _mode("router.authentication.keys_file", keys, written, "others may write it")


def _mode(key: str, path: Path, forbidden: int, meaning: str) -> Finding:
    try:
        found = path.stat()
    except OSError as error:
        said = f"{key}: {path}: {error.strerror or error}"
        return problem("secrets", said, "paths are relative to where the router is started")
    of_root = found.st_uid == ROOT
    if of_root:
        forbidden &= ~stat.S_IRGRP  # so a service reads it that is not root (docs/hosts.md)
    if found.st_mode & forbidden and _others_come_to(path):
        mode, right = stat.filemode(found.st_mode), "640" if of_root else "600"
        return problem("secrets", f"{key}: {path} is {mode}: {meaning}", f"chmod {right} {path}")
    return ok("secrets", f"{key}: {path} is kept from others")


def _others_come_to(path: Path) -> bool:
    """Whether all the folders above let others through."""
    through = stat.S_IXGRP | stat.S_IXOTH
    return all(folder.stat().st_mode & through for folder in path.resolve().parents)
