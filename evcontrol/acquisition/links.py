"""The state of every link as tags of the engine's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from drivers.driver import Driver, Link, LinkState
from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import ReadTiming
from evcontrol.clock import NS
from evcontrol.plant.link_tags import LinkTag, link_tag


class LinkTags:
    """Writes the link tags that the plant has; ``timing`` are the scanner's measurements by device."""

    def __init__(
        self, drivers: Mapping[str, Driver], image: ProcessImage, timing: Mapping[str, ReadTiming], own: frozenset[str]
    ) -> None:
        self._image = image
        self._timing = timing
        self._own = own
        self._ready_before: set[str] = set()
        self._reconnects: Counter[str] = Counter()
        self._state = {device: driver.link.state for device, driver in drivers.items()}
        for device, driver in drivers.items():
            self._show(device, driver.link)

    def reconnects(self, device: str) -> int:
        """How often the link to a device came back since the start."""
        return self._reconnects[device]

    def changed(self, device: str, link: Link) -> None:
        """Take a change of a link over, at once."""
        came, self._state[device] = link.state is not self._state[device], link.state
        if link.state is LinkState.READY and came:
            self._reconnects[device] += device in self._ready_before
            self._ready_before.add(device)
        self._show(device, link)

    def measure(self) -> None:
        """Take over how the readings of the last scan came."""
        for device, timing in self._timing.items():
            self._set(device, LinkTag.ROUND_TRIP, timing.round_trip_s * 1000.0)
            self._set(device, LinkTag.LATE, float(timing.late))

    def _show(self, device: str, link: Link) -> None:
        self._set(device, LinkTag.STATE, link.state.value)
        self._set(device, LinkTag.REASON, link.reason)
        self._set(device, LinkTag.SINCE, link.since / NS)
        self._set(device, LinkTag.RECONNECTS, float(self._reconnects[device]))

    def _set(self, device: str, what: LinkTag, value: float | str) -> None:
        tag = link_tag(device, what)
        if tag in self._own:
            self._image.set_internal(tag, value)
