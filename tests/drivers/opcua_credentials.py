"""Certificates of test applications, made on the spot."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from drivers.opcua_certificate import CERTIFICATE_FILE, KEY_FILE, Application, create, save
from evcontrol.clock import LiveClock

SERVER_URI = "urn:test:server"
CLIENT_URI = "urn:test:evcontrol"


def application(folder: Path, uri: str, *hosts: str, days: int = 30, ago_days: int = 0) -> Path:
    """A folder with the certificate and key of an application."""
    begin = LiveClock().wall() - ago_days * 86_400_000_000_000
    der, key = create(Application(folder.name, uri, hosts), begin, days)
    save(folder, der, key)
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    (folder / "certificate.pem").write_bytes(pem)
    return folder


def trust(folder: Path, *certificates: Path) -> Path:
    """A trust list with the certificates of these applications."""
    folder.mkdir()
    for number, one in enumerate(certificates):
        (folder / f"{number}.der").write_bytes((one / CERTIFICATE_FILE).read_bytes())
    return folder


@dataclass(frozen=True)
class Authority:
    """Who signs the certificates of others."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @classmethod
    def make(cls, name: str, *, days: int = 30, path_length: int | None = None, signs: bool = True) -> Authority:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        builder = _builder(name, name, key, days).add_extension(x509.BasicConstraints(True, path_length), True)
        usage = x509.KeyUsage(True, False, False, False, False, signs, False, False, False)
        builder = builder.add_extension(usage, True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def issue(self, name: str, uri: str, host: str, *, ca: bool = False, days: int = 30) -> Authority:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        names = [x509.UniformResourceIdentifier(uri), x509.DNSName(host)]
        builder = (
            _builder(name, str(issuer), key, days)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
            .add_extension(x509.SubjectAlternativeName(names), False)
        )
        return Authority(builder.sign(self.key, hashes.SHA256()), key)

    def revoke(self, certificate: x509.Certificate) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(now)
        builder = builder.next_update(now + datetime.timedelta(days=1)).add_revoked_certificate(revoked)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def security(client: Path, trusted: Path, **more: Any) -> dict[str, Any]:
    """The option ``security`` of a driver."""
    return {
        "certificate": str(client / CERTIFICATE_FILE),
        "key": str(client / KEY_FILE),
        "trusted": str(trusted),
    } | more


def _builder(name: str, issuer: str, key: rsa.RSAPrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
