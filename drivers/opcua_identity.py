"""Who a user is, in the way in which a server wants to know it (OPC 10000-4, 7.40)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from asyncua import ua
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua_certificate import CertificateFileError, certificates_of, key_of, read_certificates
from drivers.opcua_security import NO_SECURITY, POLICIES, IdentityRefusedError, der

_ENCRYPTING: Final = {policy.URI: policy for policy in (*POLICIES.values(), security_policies.SecurityPolicyBasic256)}
"""Policies under which a password is encrypted with OAEP; with PKCS 1.5 (Basic128Rsa15) it would not be safe."""
_SIGNING: Final = {policy.URI: policy for policy in POLICIES.values()}
_PADDING: Final = {security_policies.SecurityPolicyAes256Sha256RsaPss.URI: 66}
"""Bytes of an encrypted block that OAEP takes (RFC 8017, 7.1.1): 66 with SHA-256, and 42 with SHA-1."""
_WHO: Final = {
    ua.UserTokenType.Anonymous: "a client without user",
    ua.UserTokenType.UserName: "a user with password",
    ua.UserTokenType.Certificate: "a user with certificate",
}


@dataclass(frozen=True, slots=True)
class User:
    """A user by name and password, by certificate and key, or nobody."""

    name: str | None = None
    password: str = field(default="", repr=False)
    password_in_clear: bool = False
    certificate: x509.Certificate | None = None
    key: rsa.RSAPrivateKey | None = field(default=None, repr=False)

    @classmethod
    def certified(cls, certificate: Path, key: Path) -> User:
        """A user by certificate; IdentityRefusedError when a file cannot be used."""
        try:
            own = certificates_of(certificate)[0]
            return cls(certificate=own, key=key_of(key, own))
        except CertificateFileError as error:
            raise IdentityRefusedError(str(error)) from error

    @property
    def kind(self) -> ua.UserTokenType:
        """How the user is known."""
        if self.certificate is not None:
            return ua.UserTokenType.Certificate
        return ua.UserTokenType.Anonymous if self.name is None else ua.UserTokenType.UserName


NOBODY: Final = User()


@dataclass(frozen=True, slots=True)
class Counter:
    """The server's side of signing on: its ways in, its certificate (DER) and nonce, and our channel to it."""

    tokens: Sequence[Any]
    certificate: bytes
    nonce: bytes
    policy_uri: str
    encrypted: bool


def identify(user: User, counter: Counter) -> tuple[Any, ua.SignatureData]:
    """The token and its signature; IdentityRefusedError, in words, when the server lets the user in in no safe way."""
    tokens = [token for token in counter.tokens if token.TokenType == user.kind]
    if not tokens:
        raise IdentityRefusedError(f"the server does not let {_WHO[user.kind]} in")
    if user.certificate is not None:
        return _by_certificate(user, counter, tokens)
    if user.name is None:
        return ua.AnonymousIdentityToken(PolicyId=tokens[0].PolicyId), ua.SignatureData()
    return _by_password(user, counter, tokens), ua.SignatureData()


def _by_password(user: User, counter: Counter, tokens: Sequence[Any]) -> ua.UserNameIdentityToken:
    secret = user.password.encode()
    encrypting = [token for token in tokens if _uri(token, counter) in _ENCRYPTING]
    if encrypting and counter.certificate:
        uri = _uri(encrypting[0], counter)
        cipher, algorithm = _encrypted(secret + counter.nonce, counter.certificate, uri)
        return ua.UserNameIdentityToken(
            PolicyId=encrypting[0].PolicyId, UserName=user.name, Password=cipher, EncryptionAlgorithm=algorithm
        )
    clear = [token for token in tokens if _uri(token, counter) == NO_SECURITY]
    if not clear:
        raise IdentityRefusedError("the server wants the password encrypted, in no way that is safe and known here")
    if not counter.encrypted and not user.password_in_clear:
        raise IdentityRefusedError(
            "the server wants the password in clear, where the network can read it: use security with SignAndEncrypt "
            "(or allow it with password_in_clear)"
        )
    return ua.UserNameIdentityToken(PolicyId=clear[0].PolicyId, UserName=user.name, Password=secret)


def _by_certificate(
    user: User, counter: Counter, tokens: Sequence[Any]
) -> tuple[ua.X509IdentityToken, ua.SignatureData]:
    token = next((one for one in tokens if _uri(one, counter) in _SIGNING), None)
    if token is None or user.certificate is None:
        raise IdentityRefusedError("the server takes a user's certificate in no way that is safe and known here")
    policy = _SIGNING[_uri(token, counter)]
    signature = ua.SignatureData()
    signature.Algorithm = policy.AsymmetricSignatureURI
    signature.Signature = policy.sign_asymmetric(user.key, counter.certificate + counter.nonce)
    return ua.X509IdentityToken(PolicyId=token.PolicyId, CertificateData=der(user.certificate)), signature


def _encrypted(secret: bytes, certificate: bytes, uri: str) -> tuple[bytes, str]:
    """Length, secret and the server's nonce, block by block (OPC 10000-4, 7.40.2.2)."""
    policy = _ENCRYPTING[uri]
    try:
        public = read_certificates(certificate)[0].public_key()
    except ValueError:
        public = None
    if not isinstance(public, rsa.RSAPublicKey):
        raise IdentityRefusedError("the server wants the password encrypted, and its certificate cannot be read")
    plain = struct.pack("<I", len(secret)) + secret
    size = public.key_size // 8 - _PADDING.get(uri, 42)
    cipher = b"".join(policy.encrypt_asymmetric(public, plain[i : i + size]) for i in range(0, len(plain), size))
    return cipher, policy.AsymmetricEncryptionURI


def _uri(token: Any, counter: Counter) -> str:
    """The policy of a token; without one of its own it is the channel's."""
    return token.SecurityPolicyUri or counter.policy_uri
