"""Links as tags: state, reason, since when, how often it came back, and how the readings come."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from drivers.driver import Link, LinkState
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.links import LinkTags
from evcontrol.acquisition.scan import ReadTiming, Scanner
from evcontrol.clock import NS, VirtualClock, run_virtual
from evcontrol.plant.link_tags import LinkTag, link_tag, missing_link_tags
from evcontrol.plant.load import parse_plant
from evcontrol.plant.model import Plant
from evcontrol.signals import TagTable
from evcontrol.yaml_source import SourceError
from tests.acquisition.conftest import FakeDriver

LOST = Link(LinkState.DISCONNECTED, "connection refused", 7 * NS)
READY = Link(LinkState.READY, 'serial number "1"', 9 * NS)

PLANT = """\
name: One meter
scan: 1 s
wire_scan: 50 ms
devices:
  PLC-1: {driver: modbus-tcp, options: {host: 127.0.0.1}}
units:
  U: {class: test, content_tag: U.CONTENT, safe_states: {default: {}}, safe_within: 2 s}
tags:
  U.A: {device: PLC-1, point: {table: input, address: 0, type: uint16}, unit: g, low: 0, high: 100}
  U.CONTENT: {internal: true, kind: enum, labels: [empty]}
  U.LATE: {expression: SYS.LINK_PLC_1_LATE * 2, low: 0, high: 10}
alarms:
  U.LOST:
    when: not SYS.LINK_PLC_1 = ready
    class: instrument
    severity: minor
    respond_within: 1 h
    description: d
    cause: c
    consequence: c
    corrective_action: c
"""


class Rig:
    def __init__(self) -> None:
        tags = TagTable(missing_link_tags(["scale-1"], [], 0))
        self.image = ProcessImage(tags, tags.names())
        self.driver = FakeDriver.__new__(FakeDriver)
        self.driver.link = Link(LinkState.DISCONNECTED, "not started", 0)
        self.timing = ReadTiming()
        own = frozenset(tags.names())
        self.links = LinkTags({"scale-1": self.driver}, self.image, {"scale-1": self.timing}, own)

    def text(self, what: LinkTag) -> str:
        return self.image.text(link_tag("scale-1", what))

    def number(self, what: LinkTag) -> float:
        return self.image.reading(link_tag("scale-1", what)).value


def test_every_change_of_a_link_is_in_its_tags_at_once() -> None:
    rig = Rig()
    assert (rig.text(LinkTag.STATE), rig.text(LinkTag.REASON)) == ("disconnected", "not started")
    rig.links.changed("scale-1", READY)
    assert (rig.text(LinkTag.STATE), rig.text(LinkTag.REASON)) == ("ready", 'serial number "1"')
    assert (rig.number(LinkTag.SINCE), rig.number(LinkTag.RECONNECTS)) == (9.0, 0.0)
    rig.links.changed("scale-1", LOST)
    assert (rig.text(LinkTag.STATE), rig.text(LinkTag.REASON)) == ("disconnected", "connection refused")
    rig.links.changed("scale-1", READY)
    rig.links.changed("scale-1", Link(LinkState.READY, "another word", 9 * NS))
    assert rig.number(LinkTag.RECONNECTS) == rig.links.reconnects("scale-1") == 1


def test_how_the_readings_come_is_in_the_tags_after_each_scan() -> None:
    rig = Rig()
    rig.timing.round_trip_s, rig.timing.late = 0.0123, 3
    rig.links.measure()
    assert rig.number(LinkTag.ROUND_TRIP) == pytest.approx(12.3)
    assert rig.number(LinkTag.LATE) == 3


def test_a_slow_device_is_late_and_the_others_are_not(plant: Plant) -> None:
    async def main(clock: VirtualClock) -> dict[str, ReadTiming]:
        drivers = {name: FakeDriver(spec, clock) for name, spec in plant.devices.items()}
        scanner = Scanner(plant, drivers, ProcessImage(plant.tags, plant.internal), clock)
        drivers["scale"].delay_s = 0.4
        task = asyncio.create_task(scanner.run())
        await clock.sleep(10.5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return scanner.timing

    timing = run_virtual(main)
    assert (timing["scale"].late, timing["plc"].late) == (6, 0)  # read for every second scan
    assert timing["scale"].round_trip_s == pytest.approx(0.4)
    assert timing["plc"].round_trip_s == 0.0


def test_every_plant_has_the_tags_without_naming_them_and_may_use_them() -> None:
    plant = parse_plant(PLANT, "p.yaml")
    for what in LinkTag:
        assert link_tag("PLC-1", what) in plant.internal
        assert not plant.tags[link_tag("PLC-1", what)].record
    assert link_tag("PLC-1") == "SYS.LINK_PLC_1"


def test_a_plant_that_names_one_itself_must_name_it_as_it_is() -> None:
    named = "  SYS.LINK_PLC_1: {internal: true, kind: enum, labels: [disconnected, connecting, ready, refused]}\n"
    text = PLANT.replace("  U.LATE", f"{named}  U.LATE")
    assert parse_plant(text, "p.yaml").tags["SYS.LINK_PLC_1"].record
    with pytest.raises(SourceError, match=r"labels \[disconnected, connecting, ready, refused\]"):
        parse_plant(text.replace("connecting, ready", "ready"), "p.yaml")
    other = named.replace("PLC_1:", "PLC_1_ROUND_TRIP:")
    with pytest.raises(SourceError, match="kind analog; unit ms"):
        parse_plant(PLANT.replace("  U.LATE", f"{other}  U.LATE"), "p.yaml")
