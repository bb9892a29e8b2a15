"""Certificates of routers, sites and clients: who they are, as names in the certificate."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from spillway.certs.authority import BACKDATED, Authority, key_pem, key_usage
from spillway.certs.errors import CertsError
from spillway.certs.writing import write_new
from wire.tls.identity import is_dns_name, is_spiffe_id


def issue(
    authority: Authority, names: Sequence[str], stem: Path, days: int, now: datetime
) -> tuple[Path, Path]:
    """Makes a certificate for all of these names and writes it beside its key.

    Names are DNS names, SPIFFE ids and IP addresses; the files are `stem` with .pem and .key. It
    is good on both sides of a connection, from now on, and no longer than its authority.

    Raises CertsError for what is no name, and where a file is there already.
    """
    named = x509.SubjectAlternativeName(_general_names(names))
    key = ec.generate_private_key(ec.SECP256R1())
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority.key.public_key()
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    until = min(now + timedelta(days=days), authority.certificate.not_valid_after_utc)
    if until <= now:
        raise CertsError("the authority has expired; make another one, in another folder")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(both, critical=False)
        # Critical, as RFC 5280 has it where a certificate names its owner nowhere else.
        .add_extension(named, critical=True)
        .add_extension(key_identifier, critical=False)
        .add_extension(issuer_identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    paths = (_with_suffix(stem, ".pem"), _with_suffix(stem, ".key"))
    write_new({paths[1]: key_pem(key), paths[0]: certificate.public_bytes(Encoding.PEM)})
    return paths


def file_stem(name: str) -> str:
    """What the files of a name are called: ridge.example.org, or site-ridge of a SPIFFE id."""
    return "-".join(name.split("/")[3:]) if is_spiffe_id(name) else name.replace(":", "-")


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    if not names:
        raise CertsError("a certificate needs a name")
    return [_general_name(name) for name in names]


def _general_name(name: str) -> x509.GeneralName:
    if is_spiffe_id(name):
        return x509.UniformResourceIdentifier(name)
    if is_dns_name(name):
        return x509.DNSName(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        raise CertsError(
            f"{name!r} is no DNS name in small letters, no SPIFFE id such as"
            " spiffe://example.org/site/ridge and no IP address"
        ) from None


def _with_suffix(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)  # with_suffix would cut ridge.example.org
