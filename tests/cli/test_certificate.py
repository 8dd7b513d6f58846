"""``evcontrol certificate``: made, shown, trusted; and the how-to that says how."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.opcua_certificate import certificates_of, fingerprint, hosts_of, key_of, uri_of
from evcontrol.cli.commands import run
from evcontrol.plant.load import parse_plant
from tests.docs.examples import fenced
from tests.drivers.opcua_credentials import SERVER_URI, Authority, application
from tests.drivers.opcua_rig import ServerProcess

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "secure-opc-ua.md"


def test_a_certificate_is_made_with_its_key_and_neither_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ["certificate", "create", "--out", str(tmp_path / "own"), "--uri", "urn:plant:ev", "--host", "10.0.0.5"]
    assert run([*made, "--host", "engine", "--days", "10"]) == 0
    certificate = certificates_of(tmp_path / "own" / "certificate.der")[0]
    key = tmp_path / "own" / "key.pem"
    assert (uri_of(certificate), set(hosts_of(certificate))) == ("urn:plant:ev", {"10.0.0.5", "engine"})
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 10
    assert key_of(key, certificate).key_size == 2048
    assert key.stat().st_mode & 0o777 == 0o600
    assert fingerprint(certificate) in capsys.readouterr().out.replace("\n", "").replace(" ", "")
    before = key.read_bytes()
    assert run(made) == 1
    assert key.read_bytes() == before
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--uri", "plant"], "'plant' is no URI"),
        (["--host", "a b"], "'a b' is neither the name nor the address"),
        (["--bits", "1024"], "--bits 1024: use 2048"),
        (["--days", "0"], "Invalid value for"),
    ],
)
def test_what_makes_no_certificate_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert run(["certificate", "create", "--out", str(tmp_path / "own"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


def test_a_server_is_trusted_by_its_fingerprint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = application(tmp_path / "server", SERVER_URI, "127.0.0.1") / "certificate.der"
    trusted = tmp_path / "trusted"
    with ServerProcess(f"secure={own.parent}", "policies=Basic256Sha256_Sign,Aes128Sha256RsaOaep_Sign") as server:
        url = f"opc.tcp://127.0.0.1:{server.port}/plant"
        assert run(["certificate", "trust", url, "--list", str(trusted)]) == 2
        assert "no terminal to ask at" in capsys.readouterr().err
        assert not trusted.exists()
        assert run(["certificate", "trust", url, "--list", str(trusted), "--yes"]) == 0
    certificate = certificates_of(own)[0]
    assert fingerprint(certificate) in capsys.readouterr().out.replace("\n", "").replace(" ", "")
    assert [certificates_of(file) for file in trusted.iterdir()] == [[certificate]]


def test_an_authority_is_trusted_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "authority.der"
    file.write_bytes(Authority.make("Plant / authority").der)
    assert run(["certificate", "trust", str(file), "--list", str(tmp_path / "trusted"), "--yes"]) == 0
    assert [one.name.startswith("Plant---authority-") for one in (tmp_path / "trusted").iterdir()] == [True]
    assert run(["certificate", "trust", str(tmp_path / "none"), "--list", str(tmp_path / "trusted"), "--yes"]) == 1
    assert "none: no such file" in capsys.readouterr().err
    assert run(["certificate", "trust", "opc.tcp://127.0.0.1:1/", "--list", str(tmp_path), "--yes"]) == 1
    assert capsys.readouterr().err == "evcontrol: opc.tcp://127.0.0.1:1/: connection refused\n"


def test_the_plant_of_the_how_to_has_no_mistakes() -> None:
    plants = fenced(HOW_TO.read_text(encoding="utf-8"), "yaml")
    assert [parse_plant(text, "example.yaml").simulated for text in plants] == [False]
