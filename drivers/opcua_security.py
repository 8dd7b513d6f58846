"""Which endpoint of a server is taken, whether the server is the right one, and how its messages are secured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.connection import LinkRefusedError
from drivers.opcua_certificate import CertificateFileError, certificates_of, common_name, key_of, uri_of
from drivers.opcua_options import OpcUaSecurity, Policy, SecurityMode
from drivers.opcua_trust import TrustList, UntrustedError

BINARY_TCP: Final = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
POLICIES: Final[dict[Policy, Any]] = {
    Policy.AES128_SHA256_RSAOAEP: security_policies.SecurityPolicyAes128Sha256RsaOaep,
    Policy.BASIC256SHA256: security_policies.SecurityPolicyBasic256Sha256,
    Policy.AES256_SHA256_RSAPSS: security_policies.SecurityPolicyAes256Sha256RsaPss,
}
MODES: Final = {
    SecurityMode.SIGN: ua.MessageSecurityMode.Sign,
    SecurityMode.SIGN_AND_ENCRYPT: ua.MessageSecurityMode.SignAndEncrypt,
}
NO_SECURITY: Final = security_policies.SecurityPolicyNone.URI
IDENTITY_PAUSE_S: Final = 30.0
LONGEST_IDENTITY_PAUSE_S: Final = 300.0
"""How often one whom a server does not know, or who does not trust the server, asks again: a person has to act first,
and a server may lock the account of who keeps knocking."""


class IdentityRefusedError(LinkRefusedError):
    """One side does not accept who the other one is."""

    pause_s = IDENTITY_PAUSE_S
    longest_pause_s = LONGEST_IDENTITY_PAUSE_S


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are and whom we trust, read from the files that the options name."""

    policy: Policy
    mode: SecurityMode
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    trusted: TrustList
    check_host: bool

    @classmethod
    def of(cls, options: OpcUaSecurity) -> Credentials:
        """Read the files; IdentityRefusedError when one cannot be used."""
        try:
            certificate = certificates_of(options.certificate)[0]
            if uri_of(certificate) is None:
                raise CertificateFileError(f"{options.certificate} has no application URI, which OPC UA needs")
            key = key_of(options.key, certificate)
            trusted = TrustList.of(options.trusted)
        except CertificateFileError as error:
            raise IdentityRefusedError(str(error)) from error
        return cls(options.policy, options.mode, certificate, key, trusted, options.check_host)

    @property
    def uri(self) -> str:
        """Our application URI: that of our certificate."""
        return uri_of(self.certificate) or ""

    def secured(self, endpoints: Sequence[Any], url: str, now: datetime) -> tuple[Any, Any]:
        """The endpoint with our policy and mode, and asyncua's policy for its channel.

        IdentityRefusedError when the server has no such endpoint or is not to be trusted, or when our own certificate
        is out of date, which no server would take.
        """
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not begin <= now <= end:
            raise IdentityRefusedError(
                f"our own certificate ({common_name(self.certificate)}) is valid from {begin:%Y-%m-%d} "
                f"to {end:%Y-%m-%d} only: make a new one"
            )
        policy, mode = POLICIES[self.policy], MODES[self.mode]
        endpoint = next((one for one in endpoints if is_at(one, policy.URI, mode)), None)
        if endpoint is None:
            raise IdentityRefusedError(
                f"the server does not offer {self.policy} with {self.mode}; it offers {_offered(endpoints)}"
            )
        try:
            server = self.trusted.check(
                endpoint.ServerCertificate or b"",
                now=now,
                uri=endpoint.Server.ApplicationUri,
                host=(urlsplit(url).hostname or "") if self.check_host else None,
            )
        except UntrustedError as error:
            raise IdentityRefusedError(str(error)) from error
        return endpoint, policy(server, self.certificate, self.key, mode)


def is_at(endpoint: Any, policy_uri: str, mode: ua.MessageSecurityMode) -> bool:
    """Whether an endpoint has a policy and a mode, over TCP."""
    tcp = endpoint.TransportProfileUri in (None, "", BINARY_TCP)
    return bool(tcp and endpoint.SecurityPolicyUri == policy_uri and endpoint.SecurityMode == mode)


def prove_server(policy: Any, created: ua.CreateSessionResult, nonce: bytes) -> None:
    """See that who created the session has the key of the certificate (OPC 10000-4, 5.7.2); IdentityRefusedError."""
    sent = created.ServerCertificate or b""
    if not sent.startswith(policy.peer_certificate):
        raise IdentityRefusedError("the server shows another certificate for its session than for its endpoint")
    try:
        policy.asymmetric_cryptography.verify(policy.host_certificate + nonce, created.ServerSignature.Signature or b"")
    except InvalidSignature:
        raise IdentityRefusedError("the server has not proved that its certificate is its own") from None


def client_signature(policy: Any, created: ua.CreateSessionResult) -> ua.SignatureData:
    """Our proof that our certificate is our own."""
    signature = ua.SignatureData()
    signature.Algorithm = policy.AsymmetricSignatureURI
    signature.Signature = policy.asymmetric_cryptography.signature(
        policy.peer_certificate + (created.ServerNonce or b"")
    )
    return signature


def der(certificate: x509.Certificate) -> bytes:
    """A certificate as it goes over the wire."""
    return certificate.public_bytes(serialization.Encoding.DER)


def _offered(endpoints: Sequence[Any]) -> str:
    offers = {
        "no security"
        if one.SecurityMode == ua.MessageSecurityMode.None_
        else f"{(one.SecurityPolicyUri or '').rpartition('#')[2]} with {ua.MessageSecurityMode(one.SecurityMode).name}"
        for one in endpoints
    }
    return ", ".join(sorted(offers)) or "nothing"
