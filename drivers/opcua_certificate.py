"""Certificates of OPC UA applications: made, read from files, and described (OPC 10000-6, 6.2.2)."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE_FILE: Final = "certificate.der"
KEY_FILE: Final = "key.pem"
BITS: Final = (2048, 3072, 4096)
"""Sizes of RSA keys that every policy from Basic256Sha256 on takes (OPC 10000-7)."""
_SUFFIXES: Final = frozenset({".der", ".cer", ".crt", ".pem"})


class CertificateFileError(Exception):
    """A file of certificates or keys that cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Application:
    """Who a certificate is for: name, application URI, the hosts it runs on (names or addresses)."""

    name: str
    uri: str
    hosts: tuple[str, ...] = ()


def create(application: Application, from_ns: int, days: int, bits: int = BITS[0]) -> tuple[bytes, bytes]:
    """A self-signed certificate (DER) and its private key (PEM, PKCS 8), valid from an hour before ``from_ns``.

    ``from_ns`` is UTC in ns; the hour allows for clocks that differ. ValueError when a host or the URI cannot stand in
    a certificate.
    """
    if not application.uri.isascii() or ":" not in application.uri:
        raise ValueError(f"{application.uri!r} is no URI in ASCII, such as urn:plant:evcontrol")
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, application.name)])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(application.uri)]
    names += [_general_name(host) for host in application.hosts]
    begin = _time(from_ns) - timedelta(hours=1)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(_time(from_ns) + timedelta(days=days))
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.DER), pem


def save(folder: Path, certificate: bytes, key: bytes) -> tuple[Path, Path]:
    """Write both into a folder, the key readable by its owner only; OSError, and nothing is ever overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    where = folder / CERTIFICATE_FILE, folder / KEY_FILE
    for file in where:
        if file.exists():
            raise FileExistsError(17, "is there already, and a key that is in use is not overwritten", str(file))
    descriptor = os.open(where[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file_of_key:
        file_of_key.write(key)
    where[0].write_bytes(certificate)
    return where


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """One or more certificates, DER one after the other or PEM; ValueError when it is none."""
    if b"-----BEGIN CERTIFICATE" in data:
        return x509.load_pem_x509_certificates(data)
    result = []
    while data:
        length = _der_length(data)
        result.append(x509.load_der_x509_certificate(data[:length]))
        data = data[length:]
    if not result:
        raise ValueError("no certificate")
    return result


def certificates_of(file: Path) -> list[x509.Certificate]:
    """The certificates of a file, the application's own first; CertificateFileError."""
    try:
        return read_certificates(file.read_bytes())
    except OSError as error:
        raise CertificateFileError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except ValueError:
        raise CertificateFileError(f"{file} holds no certificate (DER or PEM)") from None


def key_of(file: Path, certificate: x509.Certificate) -> rsa.RSAPrivateKey:
    """The private key of a certificate (PEM or DER, not encrypted); CertificateFileError."""
    try:
        data = file.read_bytes()
        load = serialization.load_pem_private_key if data.startswith(b"-----") else serialization.load_der_private_key
        key = load(data, None)
    except OSError as error:
        raise CertificateFileError(f"{file}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, TypeError):  # TypeError: a password would be needed
        raise CertificateFileError(f"{file} holds no private key without password (PEM or DER)") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CertificateFileError(f"{file} is no RSA key, and the policies of OPC UA need one")
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or public.public_numbers() != key.public_key().public_numbers():
        raise CertificateFileError(f"{file} is not the key of the certificate")
    return key


def certificate_files(folder: Path) -> list[Path]:
    """The files of a folder that are certificates by their names, sorted; OSError."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)


def uri_of(certificate: x509.Certificate) -> str | None:
    """The application URI of a certificate."""
    uris = _alternatives(certificate).get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else None


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses of a certificate."""
    names = _alternatives(certificate)
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def is_for_host(certificate: x509.Certificate, host: str) -> bool:
    """Whether a host, as a name or an address, is one of the certificate's."""
    return _same_form(host) in {_same_form(one) for one in hosts_of(certificate)}


def fingerprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm | None = None) -> str:
    """SHA-256 (unless told otherwise) of the certificate, as pairs of hexadecimal digits."""
    return certificate.fingerprint(algorithm or hashes.SHA256()).hex(":").upper()


def common_name(certificate: x509.Certificate) -> str:
    """The name in the subject; the whole subject when it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""What OPC 10000-6 (table 43) asks for; with keyCertSign, as the certificate has signed itself."""


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not host or not host.isascii() or any(letter.isspace() for letter in host):
        raise ValueError(f"{host!r} is neither the name nor the address of a host")
    return x509.DNSName(host)


def _same_form(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.rstrip(".").lower()


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return x509.SubjectAlternativeName([])


def _der_length(data: bytes) -> int:
    """Length of the first element (X.690, 8.1.3)."""
    if len(data) < 2 or data[0] != 0x30:
        raise ValueError("no certificate")
    if data[1] < 0x80:
        return 2 + data[1]
    count = data[1] & 0x7F
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")


def _time(t_ns: int) -> datetime:
    return datetime.fromtimestamp(t_ns // 1_000_000_000, tz=UTC)
