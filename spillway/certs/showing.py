"""What a file of certificates says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from spillway.certs.errors import CertsError


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate of a file."""

    names: tuple[str, ...]  # as a router or a site compares them
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    is_authority: bool

    def days_left(self, now: datetime) -> float:
        """Until it expires; below zero once it has."""
        return (self.not_after - now).total_seconds() / 86_400


def certificates(path: Path) -> list[Shown]:
    """All that a file has, in its order. Raises CertsError."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError:
        raise CertsError(f"{path}: expected certificates in PEM") from None
    return [_shown(one) for one in found]


def _shown(certificate: x509.Certificate) -> Shown:
    return Shown(
        tuple(_names(certificate)),
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _is_authority(certificate),
    )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for name in extension.value:
        if isinstance(name, x509.DNSName | x509.UniformResourceIdentifier | x509.IPAddress):
            yield str(name.value)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return extension.value.ca
