"""The simulated pressure monitor sends what its manual says."""

from __future__ import annotations

import pytest

from simulators.devices.pressure_monitor import PER_PSI, PressureMonitor


def monitor(unit: str = "psi") -> PressureMonitor:
    return PressureMonitor([lambda: 10.0, lambda: 8.0, lambda: -2.0, lambda: 0.0], unit)


def packets(block: bytes) -> list[list[bytes]]:
    assert block.startswith(b"\x10\x02AZ")
    assert block.endswith(b"\r\n\x10\x03")
    return [packet.split(b",") for packet in block[2:-4].split(b"\r\n")]


def test_a_block_has_a_packet_for_each_sensor() -> None:
    found = packets(monitor().hear(b"AZK"))
    assert [packet[1] for packet in found] == [b"00000.01", b"00000.03", b"00000.05", b"00000.07"]
    assert [float(packet[6]) for packet in found] == pytest.approx([10.0, 8.0, -2.0, 0.0], abs=0.2)
    for packet in found:
        assert (packet[0], packet[2], len(packet)) == (b"AZ", b"4", 14)
        assert [len(number) for number in packet[3:7]] == [11] * 4


def test_the_checksum_is_the_negated_sum_of_the_frame() -> None:
    for packet in packets(monitor().hear(b"AZK")):
        frame = b"," + b",".join(packet[1:-1]) + b","
        assert (sum(frame) + int(packet[-1], 16)) % 256 == 0


@pytest.mark.parametrize("unit", list(PER_PSI))
def test_the_pressure_is_shown_in_the_unit_that_is_set(unit: str) -> None:
    shown = float(packets(monitor(unit).hear(b"AZK"))[0][6])
    assert shown == pytest.approx(10 * PER_PSI[unit], abs=0.2 * PER_PSI[unit])


def test_a_sensor_without_its_cable_shows_no_number_and_a_damaged_packet_has_a_wrong_sum() -> None:
    one = monitor()
    one.failed, one.damaged = {1}, {2}
    first, second, *_ = one.hear(b"AZK")[2:].split(b"\r\n")
    assert first.split(b",")[6].strip() == b"-----"
    frame, given = second[2:-2], second[-2:]
    assert (sum(frame) + int(given, 16)) % 256 != 0


def test_it_tells_what_it_is_and_passes_over_what_it_does_not_know() -> None:
    assert monitor().hear(b"AZI").startswith(b"AZ,00000,4,PENDOTECH,PMAT4,")
    assert monitor().hear(b"AZX") == b""
