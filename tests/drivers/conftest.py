"""What of the conformance suite is made for which rig, and when: some costs seconds for each driver."""

from __future__ import annotations

import pytest

from drivers.conformance import Rig, Trouble, unmet

DRILLS = {
    "test_a_trouble_is_bad_in_time_is_told_raises_nothing_and_passes": {Trouble.MUTE, Trouble.LATE, Trouble.GARBAGE},
    "test_a_write_in_trouble_arrives_once_at_most_and_is_settled_by_reading_back": {Trouble.LATE, Trouble.GARBAGE},
}
"""By test the troubles that are left to `make test-full`, unless they cost no time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a rig cannot do, so that a skipped test always means that something is missing."""
    left_out = []
    for item in items:
        values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        rig, trouble = values.get("rig"), values.get("trouble")
        if not isinstance(item, pytest.Function) or not isinstance(rig, type) or not issubclass(rig, Rig):
            continue
        if unmet(rig, item.function, trouble):
            left_out.append(item)
        elif not rig.virtual and trouble in DRILLS.get(item.function.__name__, ()):
            item.add_marker(pytest.mark.full)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
