"""What of the conformance suite is a drill: it costs seconds for each driver, and `make test` has not many."""

from __future__ import annotations

import pytest

from drivers.conformance import Rig, Trouble

DRILLS = {
    "test_a_trouble_is_bad_in_time_is_told_raises_nothing_and_passes": {Trouble.MUTE, Trouble.LATE, Trouble.GARBAGE},
    "test_a_write_in_trouble_arrives_once_at_most_and_is_settled_by_reading_back": {Trouble.LATE, Trouble.GARBAGE},
}
"""By test the troubles that are left to `make test-full`, unless they cost no time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        rig, trouble = values.get("rig"), values.get("trouble")
        on_wire = isinstance(rig, type) and issubclass(rig, Rig) and not rig.virtual
        if on_wire and trouble in DRILLS.get(item.function.__name__, ()):
            item.add_marker(pytest.mark.full)
