"""Whom we believe: the country's signing authorities (CSCA) and what they have revoked.

Doc 9303 part 12: a document signer's certificate is issued directly by a CSCA; there is nothing between.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from accounts.chip.errors import ChipRefusedError

_BEGINS_CRL = b"-----BEGIN X509 CRL-----"
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True)
class Trust:
    """The authorities' certificates, and their revocation lists if any are configured."""

    authorities: tuple[x509.Certificate, ...]
    revocations: tuple[x509.CertificateRevocationList, ...] = ()

    @classmethod
    def read(cls, certificates: Path, revocations: Path | None = None) -> "Trust":
        """Read PEM files; both may hold several of a kind.

        Raises:
            ValueError: a file holds none, or something else.
            OSError: a file cannot be read.
        """
        authorities = tuple(x509.load_pem_x509_certificates(certificates.read_bytes()))
        lists: tuple[x509.CertificateRevocationList, ...] = ()
        if revocations is not None:
            parts = revocations.read_bytes().split(_BEGINS_CRL)[1:]
            lists = tuple(x509.load_pem_x509_crl(_BEGINS_CRL + part) for part in parts)
            if not lists:
                raise ValueError("it holds no revocation list")
        return cls(authorities, lists)

    def check(self, signer: x509.Certificate, now: datetime) -> x509.Certificate:
        """Return the authority that issued the document signer's certificate.

        Raises:
            ChipRefusedError: none of ours did, or it is expired, revoked or meant for something else.
        """
        authority = next((one for one in self.authorities if _issued(one, signer)), None)
        if authority is None:
            raise ChipRefusedError("issuer-unknown")
        for certificate in (authority, signer):
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise ChipRefusedError("certificate-expired")
        if not _is_authority(authority) or _is_authority(signer) or not _may_sign(signer):
            raise ChipRefusedError("certificate-unsuitable")
        self._check_revocation(authority, signer, now)
        return authority

    def _check_revocation(
        self, authority: x509.Certificate, signer: x509.Certificate, now: datetime
    ) -> None:
        if not self.revocations:
            return
        current = [one for one in self.revocations if _is_current(one, authority, now)]
        if not current:
            # Lists are wanted, and none of this authority is good today: nothing can be said.
            raise ChipRefusedError("revocation-unknown")
        if any(
            one.get_revoked_certificate_by_serial_number(signer.serial_number) for one in current
        ):
            raise ChipRefusedError("certificate-revoked")


def _issued(authority: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        signer.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_current(
    crl: x509.CertificateRevocationList, authority: x509.Certificate, now: datetime
) -> bool:
    key = authority.public_key()
    if crl.issuer != authority.subject or not isinstance(
        key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    ):
        return False
    ends = crl.next_update_utc
    return (
        crl.is_signature_valid(key) and crl.last_update_utc <= now and ends is not None
    ) and now <= ends


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return extension.value.ca


def _may_sign(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return usage.digital_signature


def fingerprints(certificates: Iterable[x509.Certificate]) -> list[str]:
    """Return the serial numbers in hexadecimal, for evidence and logs."""
    return [f"{certificate.serial_number:x}" for certificate in certificates]
