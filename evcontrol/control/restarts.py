"""Sees that a controller has restarted by its start counter: what it was told before may be gone."""

from __future__ import annotations

from collections.abc import Callable

from evcontrol.acquisition.image import ProcessImage
from evcontrol.plant.model import DeviceSpec, Plant
from evcontrol.quality import is_good


class RestartWatch:
    """Compares the start counters each scan; ``on_restart(device, before, after)`` once per restart.

    A device has one when its options name a tag in ``start_counter``. Any other number than before is a restart, since
    counters begin anew; a reading that is not Good tells nothing.
    """

    def __init__(self, plant: Plant, image: ProcessImage, on_restart: Callable[[str, float, float], None]) -> None:
        self._image = image
        self._on_restart = on_restart
        self._counters = {name: tag for name, spec in plant.devices.items() if (tag := start_counter(spec))}
        self._last: dict[str, float] = {}

    def look(self) -> None:
        """Compare after a scan."""
        for device, tag in self._counters.items():
            value, quality = self._image.reading(tag)
            if not is_good(quality):
                continue
            before, self._last[device] = self._last.get(device, value), value
            if before != value:
                self._on_restart(device, before, value)


def start_counter(spec: DeviceSpec) -> str:
    """The tag that counts a device's starts; empty when it has none."""
    tag = getattr(spec.options, "start_counter", None)
    return tag if isinstance(tag, str) and any(point.tag.name == tag for point in spec.points) else ""
