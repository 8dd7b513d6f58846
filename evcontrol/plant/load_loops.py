"""The section ``loops:`` of a plant file: checked, and made into specifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evcontrol.plant.model import FailureAction, LoopSpec, WriteSpec
from evcontrol.plant.schema import LoopSection, SplitSection, UnitSection
from evcontrol.plant.split_range import Span
from evcontrol.signals import TagTable
from evcontrol.yaml_source import nearest

Wrong = Callable[[tuple[str | int, ...], str], None]
MODES = ("off", "starting", "automatic", "cascade", "failed", "tracking")
"""Labels of a tag that shows a loop's mode."""
SATURATED = ("no", "high", "low")
"""Labels of a tag that shows which limit holds a loop's output back: by ``saturated`` of its state, 0, 1 or -1."""
_LABELLED = (("_MODE", MODES), ("_SAT", SATURATED))
_ORDERED = (("setpoint_low", "setpoint_high"), ("output_low", "output_high"))


def make_loops(
    sections: Mapping[str, LoopSection],
    tags: TagTable,
    writes: Mapping[str, WriteSpec],
    units: Mapping[str, UnitSection],
    wrong: Wrong,
) -> dict[str, LoopSpec]:
    """The loops of a plant by name; ``wrong`` is told of every mistake with its place."""
    specs = {name: _spec(name, section, tags, writes, sections, wrong) for name, section in sections.items()}
    for name, spec in specs.items():
        _check_cascade(name, spec, specs, wrong)
        _check_failure_action(name, spec, writes, units, wrong)
        for end, labels in _LABELLED:
            if (tag := f"{name}{end}") in tags and tags[tag].labels != labels:
                wrong(("tags", tag), f"{tag}: kind enum, labels [{', '.join(labels)}]")
    return specs


def _spec(
    name: str,
    section: LoopSection,
    tags: TagTable,
    writes: Mapping[str, WriteSpec],
    loops: Mapping[str, LoopSection],
    wrong: Wrong,
) -> LoopSpec:
    where = ("loops", name)
    for key in ("pv", "ratio_of"):
        tag = getattr(section, key)
        if tag is not None and tag not in tags:
            wrong((*where, key), f"unknown tag {tag!r}{nearest(tag, tags.names())}")
    if (section.output is None) == (not section.split):
        wrong(where, f"loop {name!r} needs exactly one of: output, split")
    elif section.output is not None and section.output not in writes and section.output not in loops:
        known = [*writes, *loops]
        wrong((*where, "output"), f"{section.output!r} cannot be written{nearest(section.output, known)}")
    written = writes.get(section.output or "")
    if section.lead > 0 and (written is None or not written.feedback):
        wrong((*where, "lead"), f"loop {name!r}: its output has no feedback to be ahead of (write: in the tag)")
    for low, high in _ORDERED:
        if not getattr(section, low) < getattr(section, high):
            wrong((*where, low), f"loop {name!r}: {low} is not below {high}")
    return LoopSpec(
        name=name,
        unit=name.partition(".")[0],
        pv=section.pv,
        output=section.output or "",
        action=section.action,
        gain=section.gain,
        ti_s=section.ti,
        td_s=section.td,
        setpoint_low=section.setpoint_low,
        setpoint_high=section.setpoint_high,
        output_low=section.output_low,
        output_high=section.output_high,
        output_rate=section.output_rate,
        max_scan_s=section.max_scan,
        on_bad=section.on_bad.action,
        on_bad_value=section.on_bad.value,
        description=section.description,
        setpoint_rate=section.setpoint_rate,
        ratio_of=section.ratio_of or "",
        lead=section.lead,
        split=tuple(
            _span(one, (*where, "split", number), name, writes, wrong) for number, one in enumerate(section.split)
        ),
    )


def _span(
    section: SplitSection, where: tuple[str | int, ...], loop: str, writes: Mapping[str, WriteSpec], wrong: Wrong
) -> Span:
    (begin, end), (first, last) = section.over, section.to
    if not begin < end:
        wrong((*where, "over"), f"loop {loop!r}: a range of its output goes from low to high, not {begin:g} to {end:g}")
    spec = writes.get(section.output)
    if spec is None:
        wrong((*where, "output"), f"{section.output!r} cannot be written{nearest(section.output, writes)}")
    elif not all(spec.low <= value <= spec.high for value in (first, last)):
        wrong((*where, "to"), f"{section.output} takes {spec.low:g} to {spec.high:g}")
    return Span(section.output, begin, end, first, last)


def _check_failure_action(
    name: str, spec: LoopSpec, writes: Mapping[str, WriteSpec], units: Mapping[str, UnitSection], wrong: Wrong
) -> None:
    """A value that the actuator takes; a safe state that says where each actuator goes, whatever the vessel holds."""
    where = ("loops", name, "on_bad")
    write = writes.get(spec.output)
    if spec.on_bad is FailureAction.VALUE and write and not write.low <= spec.on_bad_value <= write.high:
        wrong((*where, "value"), f"loop {name!r}: {spec.output} takes {write.low:g} to {write.high:g}")
    if spec.on_bad is not FailureAction.SAFE:
        return
    for tag in spec.actuators:
        unit = units.get(tag.partition(".")[0])
        if unit is None or not all(tag in state for state in unit.safe_states.values()):
            wrong((*where, "action"), f"loop {name!r}: no safe value of {tag} in safe_states, for every content")


def _check_cascade(name: str, spec: LoopSpec, specs: Mapping[str, LoopSpec], wrong: Wrong) -> None:
    """A loop below another has the same unit, takes what the other gives, and is not above it as well."""
    below = specs.get(spec.output)
    if below is None:
        return
    where = ("loops", name)
    if below.unit != spec.unit:
        wrong((*where, "output"), f"{spec.output} belongs to {below.unit}: a loop sets only loops of its own unit")
    if below.ratio_of:
        wrong((*where, "output"), f"{spec.output} is a ratio: its setpoint cannot be set by a loop")
    if not (below.setpoint_low <= spec.output_low and spec.output_high <= below.setpoint_high):
        limits = f"{below.setpoint_low:g} to {below.setpoint_high:g}"
        wrong((*where, "output_low"), f"loop {name!r}: its output goes beyond the setpoints of {spec.output}: {limits}")
    seen, at = {name}, spec.output
    while at in specs:
        if at in seen:
            wrong((*where, "output"), f"loop {name!r} sets itself by way of {spec.output}")
            return
        seen.add(at)
        at = specs[at].output
