"""A development authority: a certificate that signs others, and its key, in one folder."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from spillway.certs.errors import CertsError
from spillway.certs.writing import write_new

CERTIFICATE: Final = "authority.pem"
KEY: Final = "authority.key"

NAME_LENGTH_MAX: Final = 64  # of a common name, by X.520

BACKDATED: Final = timedelta(minutes=5)
"""Clocks of two machines may differ by so much."""


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as a file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key is for: certificates and their revocation, or else handshakes, and never both."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """An authority with its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def create(cls, folder: Path, name: str, days: int, now: datetime) -> "Authority":
        """Makes one and writes it into a folder, which is made where it is missing.

        Raises CertsError where the folder has one, or cannot be written to.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CertsError(f"{folder}: cannot be made: {error.strerror or error}") from error
        pem = certificate.public_bytes(Encoding.PEM)
        write_new({folder / KEY: key_pem(key), folder / CERTIFICATE: pem})
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """The one that is in a folder. Raises CertsError."""
        certificate_path, key_path = folder / CERTIFICATE, folder / KEY
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = load_pem_private_key(key_path.read_bytes(), password=None)
        except OSError as error:
            hint = f"; make one with: spillway certs init {folder}"
            message = f"{error.filename}: cannot be read: {error.strerror or error}{hint}"
            raise CertsError(message) from error
        except (ValueError, TypeError) as error:
            raise CertsError(f"{folder}: no authority of ours: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertsError(
                f"{key_path}: expected a key on an elliptic curve, as certs init makes"
            )
        if key.public_key() != certificate.public_key():
            raise CertsError(f"{key_path}: belongs to another certificate than {certificate_path}")
        return cls(certificate, key)
