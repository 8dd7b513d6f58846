"""``evcontrol browse``: what a server has, in words, as JSON, and as a part of a plant file that is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from drivers.opcua_options import OpcUaOptions
from drivers.opcua_points import OpcUaPoint
from evcontrol.cli.commands import run
from evcontrol.plant.load import parse_plant
from tests.drivers.opcua_credentials import CLIENT_URI, SERVER_URI, application, security, trust
from tests.drivers.opcua_rig import URI, ServerProcess

SKELETON = """
name: Embedded
scan: 1 s
wire_scan: 50 ms
units:
  OPCUA: {class: bioreactor, content_tag: OPCUA.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
"""
FIELDS = [
    "path", "namespace", "node", "type", "misfit", "readable", "writable", "description", "unit", "low", "high",
    "labels",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browse")
    application(root / "client", CLIENT_URI)
    application(root / "server", SERVER_URI, "127.0.0.1")
    trust(root / "trusted", root / "server")
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    offers = "policies=NoSecurity,Aes256Sha256RsaPss_SignAndEncrypt"
    with ServerProcess("described", "many=300", f"secure={folder / 'server'}", offers) as process:
        yield process


def browsed(server: ServerProcess, *options: str) -> int:
    return run(["browse", f"opc.tcp://127.0.0.1:{server.port}/plant", *options])


def secured(folder: Path) -> list[str]:
    files = security(folder / "client", folder / "trusted")
    return [word for name, file in files.items() for word in (f"--{name}", file)] + ["--policy", "Aes256_Sha256_RsaPss"]


def embedded(text: str) -> dict[str, Any]:
    """The fragment in a plant file."""
    data = YAML(typ="safe").load(SKELETON + text)
    assert isinstance(data, dict)
    return data


def plant_of(text: str, tmp_path: Path) -> Path:
    content = "tags:\n  OPCUA.CONTENT: {internal: true, kind: enum, labels: [empty]}\n"
    file = tmp_path / "plant.yaml"
    file.write_text(SKELETON + text.replace("tags:\n", content, 1), encoding="utf-8")
    return file


def test_json_has_every_variable_with_what_the_server_tells_of_it(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert browsed(server, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["namespaces"][2:] == [URI, "urn:test:other"]
    assert told["cut"] == ""
    assert all(list(one) == FIELDS for one in told["variables"])
    by_node = {one["node"]: one for one in told["variables"]}
    assert len(by_node) == len(told["variables"]) == 316
    tt = by_node["BR.TT"]
    assert (tt["path"], tt["namespace"], tt["type"], tt["unit"]) == ("BR/TT", URI, "Double", "°C")
    assert (tt["low"], tt["high"], tt["readable"], tt["writable"]) == (-10.0, 60.0, True, True)
    assert tt["description"] == 'the "vessel": # 1'
    assert by_node["BR.MODE"]["labels"] == ["off", "on: air"]
    assert by_node["BR.REMOTE"]["labels"] == ["local", "remote"]
    assert not by_node["BR.COUNT"]["writable"]
    assert (by_node["BR.WHEN"]["type"], by_node["BR.LIST"]["type"]) == (None, None)
    assert by_node["BR.LIST"]["misfit"] == "BR.LIST is an array"


def test_the_fragment_is_a_plant_without_mistakes_once_embedded(
    server: ServerProcess, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert browsed(server, *secured(folder), "--plant", "-") == 0
    text = capsys.readouterr().out
    file = plant_of(text, tmp_path)
    assert run(["check", str(file)]) == 0
    plant = parse_plant(file.read_text(encoding="utf-8"), "plant.yaml")
    options = plant.devices["OPCUA"].options
    assert isinstance(options, OpcUaOptions)
    assert options.security is not None
    assert (options.namespace, options.security.policy.value) == (URI, "Aes256_Sha256_RsaPss")
    tags = plant.tags
    assert (tags["OPCUA.BR_TT"].unit, tags["OPCUA.BR_TT"].low, tags["OPCUA.BR_TT"].high) == ("degC", -10.0, 60.0)
    assert tags["OPCUA.BR_TT"].description == 'the "vessel": # 1'
    assert tags["OPCUA.BR_MODE"].labels == ("off", "on: air")
    assert tags["OPCUA.BR_REMOTE"].labels == ("local", "remote")
    assert tags["OPCUA.BR_SMALL"].low == -128
    points = {bound.tag.name: bound.point for bound in plant.devices["OPCUA"].points}
    assert points["OPCUA.BR_TT"] == OpcUaPoint(node="BR.TT")
    assert len(points) == 313
    assert not plant.writes
    assert "# a guess" in text
    assert "# the server says 'furlong'" in text
    assert "# BR/LIST: BR.LIST is an array" in text


def test_a_file_that_is_there_is_not_overwritten(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = tmp_path / "mine.yaml"
    plant.write_text("name: Mine\n", encoding="utf-8")
    assert browsed(server, "--plant", str(plant)) == 2
    assert "mine.yaml is there already and is not overwritten" in capsys.readouterr().err
    assert plant.read_text(encoding="utf-8") == "name: Mine\n"


def test_a_person_reads_a_table_and_how_much_was_left_out(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert browsed(server, "--limit", "10", "--plant", str(tmp_path / "part.yaml")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "10 variables; more than 10 variables: the others are not looked at" in shown
    assert "-10 to 60" in shown
    assert 0 < len(embedded((tmp_path / "part.yaml").read_text())["tags"]) <= 10
    assert browsed(server, "--depth", "1") == 0
    assert "0 variables; deeper than 1 levels:" in " ".join(capsys.readouterr().out.split())


def test_a_namespace_is_chosen_and_the_diagnostics_are_there_when_wanted(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert browsed(server, "--namespace", URI, "--json") == 0
    assert {one["namespace"] for one in json.loads(capsys.readouterr().out)["variables"]} == {URI}
    assert browsed(server, "--whole", "--namespace", "http://opcfoundation.org/UA/", "--json") == 0
    nodes = {one["node"] for one in json.loads(capsys.readouterr().out)["variables"]}
    assert {"i=2255", "i=2258", "i=2259"} <= nodes
    assert browsed(server, "--namespace", "urn:nobody") == 1
    assert "the server has no namespace 'urn:nobody'" in capsys.readouterr().err


def test_what_goes_wrong_is_told_in_one_line(
    server: ServerProcess, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    files = ["--certificate", str(folder / "client" / "certificate.der"), "--key", str(folder / "client" / "key.pem")]
    distrustful = [*secured(folder)[:4], "--trusted", str(tmp_path / "empty"), *secured(folder)[6:]]
    for options, words, status in (
        ([*files, "--trusted", str(tmp_path / "empty")], "does not offer Basic256Sha256 with SignAndEncrypt", 1),
        (distrustful, "not in the trust list", 1),
        (files, "--certificate, --key and --trusted go together", 2),
        (["--device", "a b"], "--device 'a b'", 2),
        (["--timeout", "0"], "Invalid value for", 2),
    ):
        assert browsed(server, *options) == status
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1
    assert run(["browse", "opc.tcp://127.0.0.1:1/"]) == 1
    assert capsys.readouterr().err == "evcontrol: opc.tcp://127.0.0.1:1/: connection refused\n"
    assert run(["browse", "http://127.0.0.1/"]) == 2
    assert "opc.tcp://HOST:PORT/PATH" in capsys.readouterr().err


def test_every_field_of_the_json_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    table = page.split("## Equipment that speaks OPC UA")[1].split("\n## ")[0]
    assert [field for field in [*FIELDS, "namespaces", "cut", "variables"] if f"`{field}`" not in table] == []
