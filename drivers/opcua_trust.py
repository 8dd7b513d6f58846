"""The trust list: a folder with the certificates of servers, or of who signs them, and lists of what was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua_certificate import (
    CertificateFileError,
    certificate_files,
    certificates_of,
    common_name,
    fingerprint,
    hosts_of,
    is_for_host,
    read_certificates,
    uri_of,
)

MOST_ISSUERS: Final = 8
"""Certificates of a chain that are followed."""
MIN_BITS: Final = 2048
_TOO_WEAK: Final = (hashes.SHA1, hashes.MD5)

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
"""What reading a certificate raises that somebody has spoilt."""


class UntrustedError(Exception):
    """A certificate that is not to be relied on; the message says why and what to do."""


class TrustList:
    """The certificates of a folder (``.der``, ``.cer``, ``.crt``, ``.pem``) and its revocation lists (``.crl``).

    A server is trusted when its own certificate is in the folder, or that of an authority that issued it, directly or
    over others of the folder or of the chain that the server sends.
    """

    def __init__(
        self, certificates: Sequence[x509.Certificate], revoked: Sequence[x509.CertificateRevocationList] = ()
    ):
        self._known = {certificate.fingerprint(hashes.SHA256()): certificate for certificate in certificates}
        self._revoked = tuple(revoked)

    @classmethod
    def of(cls, folder: Path) -> TrustList:
        """Read a folder; CertificateFileError when it, or a file of it, cannot be read."""
        try:
            files = certificate_files(folder)
            lists = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".crl")
        except OSError as error:
            raise CertificateFileError(f"trust list {folder}: {(error.strerror or str(error)).lower()}") from error
        return cls([one for file in files for one in certificates_of(file)], [_revocations(file) for file in lists])

    def check(self, sent: bytes, *, now: datetime, uri: str, host: str | None) -> x509.Certificate:
        """The certificate that a server sent (with its issuers behind it), when it may be trusted; UntrustedError.

        ``uri`` is the application URI that the server tells, ``host`` the one in our address (None: any will do).
        """
        try:
            return self._checked(read_certificates(sent), now, uri, host)
        except _UNREADABLE:
            raise UntrustedError("the server's certificate cannot be read") from None

    def _checked(
        self, chain: Sequence[x509.Certificate], now: datetime, uri: str, host: str | None
    ) -> x509.Certificate:
        certificate = chain[0]
        public = certificate.public_key()
        self._check_issuer(certificate, chain[1:], now)
        whose = f"the server's certificate ({common_name(certificate)})"
        _check_dates(certificate, whose, now)
        if not isinstance(public, rsa.RSAPublicKey) or public.key_size < MIN_BITS:
            raise UntrustedError(f"{whose} has no RSA key of at least {MIN_BITS} bits")
        if isinstance(certificate.signature_hash_algorithm, _TOO_WEAK):
            raise UntrustedError(f"{whose} is signed with {certificate.signature_hash_algorithm.name}, which is broken")
        if uri_of(certificate) != uri:
            raise UntrustedError(f"{whose} is for {uri_of(certificate)}, and the server says that it is {uri}")
        if host is not None and not is_for_host(certificate, host):
            names = ", ".join(hosts_of(certificate)) or "no host"
            raise UntrustedError(f"{whose} is for {names}, not for {host}; if that is right, set check_host: false")
        return certificate

    def _check_issuer(self, certificate: x509.Certificate, sent: Sequence[x509.Certificate], now: datetime) -> None:
        """Follow the issuers to one of the folder's; the certificate itself is tried first."""
        current = certificate
        for between in range(MOST_ISSUERS):
            self._check_revoked(current)
            if current.fingerprint(hashes.SHA256()) in self._known:
                return
            issuer = next((one for one in (*self._known.values(), *sent) if _issued(one, current, between)), None)
            if issuer is None or issuer == current:
                break
            _check_dates(issuer, f"the certificate of the authority {common_name(issuer)}", now)
            current = issuer
        raise UntrustedError(
            f"the server's certificate is not in the trust list: {common_name(certificate)}, "
            f"SHA-256 {fingerprint(certificate)}"
        )

    def _check_revoked(self, certificate: x509.Certificate) -> None:
        for one in self._revoked:
            if one.issuer != certificate.issuer:
                continue
            if one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise UntrustedError(f"the certificate {common_name(certificate)} was revoked by its issuer")


def _issued(issuer: x509.Certificate, certificate: x509.Certificate, between: int) -> bool:
    """Whether it issued the other and may: over so many authorities that stand between it and the server."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, *_UNREADABLE):
        return False
    far_enough = constraints.path_length is None or between <= constraints.path_length
    return constraints.ca and far_enough and _may_sign(issuer)


def _may_sign(issuer: x509.Certificate) -> bool:
    """Where a certificate says for what its key is, signing others must be among it (RFC 5280, 4.2.1.3)."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _check_dates(certificate: x509.Certificate, whose: str, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        raise UntrustedError(f"{whose} expired on {end:%Y-%m-%d}")
    if now < begin:
        raise UntrustedError(f"{whose} is valid only from {begin:%Y-%m-%d %H:%M} UTC; is this machine's clock right?")


def _revocations(file: Path) -> x509.CertificateRevocationList:
    try:
        data = file.read_bytes()
        load = x509.load_pem_x509_crl if data.startswith(b"-----") else x509.load_der_x509_crl
        return load(data)
    except OSError as error:
        raise CertificateFileError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except ValueError:
        raise CertificateFileError(f"{file} holds no revocation list (DER or PEM)") from None


def wall_time(t_ns: int) -> datetime:
    """A time of the clock (UTC ns) as certificates have it."""
    return datetime.fromtimestamp(t_ns / 1e9, tz=UTC)
