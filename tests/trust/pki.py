"""Certificates for tests: authorities, and what they issue, in a folder."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from spillway.certs.authority import CERTIFICATE, Authority
from spillway.certs.issuing import issue

FRONT = "spiffe://example.org/router/front"
RIDGE = "ridge.sites.example.org"


@dataclass
class Issued:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    def replace_by(self, other):
        """Puts another pair in place, as a rotation does: one file after the other."""
        for mine, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            unfinished = mine.with_name("unfinished")
            unfinished.write_bytes(theirs.read_bytes())
            unfinished.replace(mine)


class Pki:
    """An authority in a folder of its own, which is as old as certificates get."""

    def __init__(self, folder):
        self.folder = folder
        long_ago = datetime.now(UTC) - timedelta(days=365)
        self._authority = Authority.create(folder, folder.name, 3650, long_ago)
        self.certificate = folder / CERTIFICATE
        self._count = 0

    @classmethod
    def signed_by(cls, issued, folder):
        """Signs with the key of a certificate that is not an authority's, and shows both."""
        pki = cls(folder)
        pki.chain = issued.certificate.read_bytes()
        certificate = load_pem_x509_certificate(pki.chain)
        key = load_pem_private_key(issued.key.read_bytes(), None)
        pki._authority = Authority(certificate, key)
        return pki

    chain = b""

    def issue(self, *names, days=30, days_ago=0):
        """A certificate for these names, made so long ago for so many days."""
        self._count += 1
        stem = self.folder / f"issued-{self._count}"
        made = datetime.now(UTC) - timedelta(days=days_ago)
        issued = Issued(*issue(self._authority, names, stem, days, made))
        with issued.certificate.open("ab") as opened:
            opened.write(self.chain)
        return issued


def bundle(path, *authorities):
    """A file with several authorities."""
    path.write_bytes(b"".join(one.certificate.read_bytes() for one in authorities))
    return path
