"""The trust list: whose certificate is relied on, and what is told of one that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.opcua_certificate import (
    Application,
    CertificateFileError,
    certificates_of,
    create,
    fingerprint,
    hosts_of,
    is_for_host,
    read_certificates,
    save,
    uri_of,
)
from drivers.opcua_trust import TrustList, UntrustedError
from tests.drivers.opcua_credentials import SERVER_URI, Authority

NOW = datetime.now(UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
HOST = "bioreactor.plant"
OWN = create(Application("server", SERVER_URI, (HOST, "10.0.0.30", "::1")), NOW_NS, 30)[0]
ROOT = Authority.make("root")
ISSUED = ROOT.issue("server", SERVER_URI, HOST)


def refusal(trusted: TrustList, sent: bytes, *, now: datetime = NOW, uri: str = SERVER_URI, host: str = HOST) -> str:
    with pytest.raises(UntrustedError) as refused:
        trusted.check(sent, now=now, uri=uri, host=host)
    return str(refused.value)


def known(*certificates: bytes) -> TrustList:
    return TrustList([one for der in certificates for one in read_certificates(der)])


def test_a_certificate_is_for_who_it_was_made_for() -> None:
    certificate = read_certificates(OWN)[0]
    assert uri_of(certificate) == SERVER_URI
    assert hosts_of(certificate) == (HOST, "10.0.0.30", "::1")
    assert is_for_host(certificate, "BioReactor.Plant.")
    assert is_for_host(certificate, "0:0:0:0:0:0:0:1")
    assert not is_for_host(certificate, "10.0.0.3")
    assert certificate.not_valid_before_utc <= NOW <= certificate.not_valid_after_utc
    assert len(fingerprint(certificate).split(":")) == 32


def test_a_pinned_certificate_is_trusted_on_each_of_its_hosts() -> None:
    for host in (HOST, "10.0.0.30", None):
        assert known(OWN).check(OWN, now=NOW, uri=SERVER_URI, host=host) == read_certificates(OWN)[0]


def test_what_is_wrong_is_told() -> None:
    trusted = known(OWN)
    assert "(server) expired on " in refusal(trusted, OWN, now=NOW + timedelta(days=31))
    assert "is this machine's clock right?" in refusal(trusted, OWN, now=NOW - timedelta(hours=2))
    assert f"is for {SERVER_URI}, and the server says that it is urn:x" in refusal(trusted, OWN, uri="urn:x")
    assert "not for 10.0.0.31; if that is right, set check_host: false" in refusal(trusted, OWN, host="10.0.0.31")
    stranger = create(Application("server", SERVER_URI, (HOST,)), NOW_NS, 30)[0]
    assert "not in the trust list: server, SHA-256 " in refusal(trusted, stranger)
    assert "not in the trust list" in refusal(TrustList([]), OWN)
    assert refusal(trusted, b"") == refusal(trusted, OWN[:50]) == "the server's certificate cannot be read"


def test_an_authority_of_the_list_vouches_directly_and_over_others_that_are_sent() -> None:
    assert known(ROOT.der).check(ISSUED.der, now=NOW, uri=SERVER_URI, host=HOST)
    between = ROOT.issue("between", "urn:test:ca", HOST, ca=True)
    leaf = between.issue("server", SERVER_URI, HOST)
    assert known(ROOT.der).check(leaf.der + between.der, now=NOW, uri=SERVER_URI, host=HOST)
    assert "not in the trust list" in refusal(known(ROOT.der), leaf.der)
    assert known(ROOT.der, between.der).check(leaf.der, now=NOW, uri=SERVER_URI, host=HOST)


def test_who_may_not_vouch_does_not() -> None:
    false_authority = ISSUED.issue("server", SERVER_URI, HOST)
    assert "not in the trust list" in refusal(known(ROOT.der), false_authority.der + ISSUED.der)
    namesake = Authority.make("root").issue("server", SERVER_URI, HOST)
    assert "not in the trust list" in refusal(known(ROOT.der), namesake.der)
    old = Authority.make("old", days=-1)
    assert "authority old expired on" in refusal(known(old.der), old.issue("server", SERVER_URI, HOST).der)


def test_an_authority_vouches_no_further_than_it_may() -> None:
    narrow = Authority.make("narrow", path_length=0)
    assert known(narrow.der).check(narrow.issue("server", SERVER_URI, HOST).der, now=NOW, uri=SERVER_URI, host=HOST)
    between = narrow.issue("between", "urn:test:ca", HOST, ca=True)
    leaf = between.issue("server", SERVER_URI, HOST)
    assert "not in the trust list" in refusal(known(narrow.der), leaf.der + between.der)
    assert known(between.der).check(leaf.der, now=NOW, uri=SERVER_URI, host=HOST)
    other = Authority.make("other", signs=False)
    assert "not in the trust list" in refusal(known(other.der), other.issue("server", SERVER_URI, HOST).der)


def test_what_the_issuer_has_revoked_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(ROOT.der)
    (tmp_path / "notes.txt").write_text("not a certificate")
    assert TrustList.of(tmp_path).check(ISSUED.der, now=NOW, uri=SERVER_URI, host=HOST)
    (tmp_path / "root.crl").write_bytes(ROOT.revoke(ISSUED.certificate))
    assert refusal(TrustList.of(tmp_path), ISSUED.der) == "the certificate server was revoked by its issuer"


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateFileError, match=r"trust list .*nowhere: no such file"):
        TrustList.of(tmp_path / "nowhere")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(CertificateFileError, match=r"broken\.pem holds no certificate"):
        TrustList.of(tmp_path)
    (tmp_path / "broken.pem").unlink()
    (tmp_path / "broken.crl").write_bytes(OWN)
    with pytest.raises(CertificateFileError, match=r"broken\.crl holds no revocation list"):
        TrustList.of(tmp_path)


def test_certificates_are_read_from_pem_and_der_alike(tmp_path: Path) -> None:
    certificate = x509.load_der_x509_certificate(OWN)
    pem = tmp_path / "two.pem"
    from cryptography.hazmat.primitives.serialization import Encoding

    pem.write_bytes(certificate.public_bytes(Encoding.PEM) + ROOT.certificate.public_bytes(Encoding.PEM))
    assert certificates_of(pem) == [certificate, ROOT.certificate] == read_certificates(OWN + ROOT.der)


def test_a_key_is_its_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    certificate, key = save(tmp_path / "new", b"c", b"k")
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        save(tmp_path / "new", b"c", b"k")
    certificate.unlink()
    with pytest.raises(FileExistsError):
        save(tmp_path / "new", b"c", b"other")
    assert key.read_bytes() == b"k"


@pytest.mark.parametrize("uri", ["plant", "", "urn:plänt"])
def test_an_application_needs_a_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="is no URI in ASCII"):
        create(Application("x", uri), NOW_NS, 1)


@pytest.mark.parametrize("host", ["", "a b", "plänt"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    with pytest.raises(ValueError, match="neither the name nor the address"):
        create(Application("x", "urn:x", (host,)), NOW_NS, 1)


@settings(deadline=None)
@given(st.data())
def test_no_changed_certificate_is_ever_trusted(data: st.DataObject) -> None:
    changed = bytearray(OWN)
    place = data.draw(st.integers(0, len(OWN) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UntrustedError):
        known(OWN).check(bytes(changed), now=NOW, uri=SERVER_URI, host=HOST)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    with pytest.raises(UntrustedError):
        known(OWN).check(data, now=NOW, uri=SERVER_URI, host=None)
