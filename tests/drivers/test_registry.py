"""Which drivers there are."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from drivers import registry
from drivers.driver import BoundPoint, LinkState, Model
from drivers.modbus import ModbusDriver
from drivers.mtsics import MtSicsDriver
from drivers.nta_folder import NtaFolderDriver
from drivers.opcua import OpcUaDriver
from drivers.registry import GROUP, UnknownDriverError, driver_type, driver_types
from evcontrol.clock import LiveClock
from tests.drivers.build import tag

PUMPS = {"port": "/dev/ttyUSB0", "pumps": {1: {"max_rpm": 220}}}
OPTIONS = {
    "alicat": {"port": "x", "controllers": {"A": {"gas": "N2", "full_scale": 20, "unit": "SLPM"}}},
    "masterflex-classic": PUMPS,
    "masterflex-usb": PUMPS,
    "modbus-rtu": {"port": "/dev/ttyUSB0"},
    "modbus-tcp": {"host": "h"},
    "mt-sics": {"port": "/dev/ttyUSB0"},
    "nta-folder": {"worklists": "w", "exports": "e"},
    "opc-ua": {"url": "opc.tcp://h:4840/", "namespace": "urn:n"},
    "pendotech-pressuremat": {"port": "/dev/ttyUSB0"},
    "sartorius-sbi": {"port": "/dev/ttyUSB0"},
    "watson-marlow": PUMPS,
}
POINTS = {
    "alicat": {"field": "mass_flow"},
    "masterflex-classic": {"field": "running"},
    "masterflex-usb": {"field": "running"},
    "modbus-rtu": {"table": "holding", "address": 0, "type": "uint16", "unit_id": 3},
    "modbus-tcp": {"table": "holding", "address": 0, "type": "uint16"},
    "mt-sics": {"field": "weight"},
    "nta-folder": {"field": "conc_stock"},
    "opc-ua": {"node": "TT"},
    "pendotech-pressuremat": {"channel": "P1"},
    "sartorius-sbi": {"field": "weight"},
    "watson-marlow": {"field": "running"},
}

UNITS = {"alicat": "L/min", "nta-folder": "particle/mL", "pendotech-pressuremat": "psig"}


def test_the_shipped_drivers_are_found_by_name() -> None:
    assert driver_type("modbus-tcp") is ModbusDriver
    assert driver_type("mt-sics") is MtSicsDriver
    assert driver_type("nta-folder") is NtaFolderDriver
    assert driver_type("opc-ua") is OpcUaDriver
    assert set(OPTIONS) <= set(driver_types())


def test_a_misspelt_driver_is_told_with_the_nearest_name() -> None:
    with pytest.raises(UnknownDriverError, match="unknown driver 'modbus_tcp': did you mean 'modbus-tcp'"):
        driver_type("modbus_tcp")


def test_a_driver_that_is_like_none_is_told_with_all_names() -> None:
    with pytest.raises(UnknownDriverError, match=f"there are {', '.join(sorted(registry._BUILT_IN))}"):
        driver_type("xyz")


def test_the_drivers_that_the_package_declares_are_those_that_are_built_in() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"][GROUP] == dict(registry._BUILT_IN)


def test_a_driver_of_another_package_is_found_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    other = EntryPoint("other", "drivers.mtsics:MtSicsDriver", GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [other] if group == GROUP else [])
    assert driver_type("other") is MtSicsDriver
    assert set(driver_types()) == {"other", *registry._BUILT_IN}


def test_another_package_cannot_take_the_name_of_a_built_in_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    impostor = EntryPoint("mt-sics", "drivers.modbus:ModbusDriver", GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [impostor])
    assert driver_type("mt-sics") is MtSicsDriver


@pytest.mark.parametrize("name", OPTIONS)
def test_every_driver_is_made_by_its_models_and_begins_disconnected(name: str) -> None:
    kind = driver_type(name)
    assert issubclass(kind.options_model, Model)
    point = kind.point_model.model_validate(POINTS[name])
    clock = LiveClock()
    driver = kind(
        "dev",
        kind.options_model.model_validate(OPTIONS[name]),
        [BoundPoint(tag(0, "t", UNITS.get(name, "g")), point)],
        clock,
    )
    assert driver.name == "dev"
    assert driver.link.state is LinkState.DISCONNECTED
    assert driver.on_link is None
