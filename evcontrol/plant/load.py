"""From a plant file to a checked :class:`~evcontrol.plant.model.Plant`, with the place of every mistake."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drivers.driver import BoundPoint, DriverType, Model
from drivers.registry import UnknownDriverError, driver_type
from evcontrol.clock import LiveClock
from evcontrol.expression import ExpressionError, Symbol, compile_condition, compile_value
from evcontrol.history.retention import Retention
from evcontrol.history.target import Target
from evcontrol.plant.alarm_specs import AlarmSpec
from evcontrol.plant.influx import PlacedSection, forwarding_mistakes, make_target, read_section, refuse_token
from evcontrol.plant.link_tags import misfit, missing_link_tags
from evcontrol.plant.load_alarms import make_alarms
from evcontrol.plant.load_checks import make_checks
from evcontrol.plant.load_loops import make_loops
from evcontrol.plant.model import (
    DerivedSpec,
    DeviceSpec,
    InterlockSpec,
    ModuleSpec,
    OnSilence,
    PermissiveSpec,
    Plant,
    RateSpec,
    ReconcileSpec,
    SpreadSpec,
    TakeOverSpec,
    UnitSpec,
    WriteSpec,
)
from evcontrol.plant.schema import (
    DeviceSection,
    HistorySection,
    InterlockSection,
    ModuleSection,
    PermissiveSection,
    PlantFile,
    TagSection,
    TakeOverSection,
    UnitSection,
    WriteSection,
)
from evcontrol.plant.sensor_checks import CheckSpec
from evcontrol.plant.silence import watchdog_of
from evcontrol.signals import Tag, TagKind, TagTable
from evcontrol.units import UnitError, convert, divide, parse
from evcontrol.yaml_source import Document, Mistake, SourceError, nearest

ENGINE_UNIT = "SYS"
DEFAULT_TIMEOUT_S = 1.0
SAFE_DEFAULT = "default"

Where = tuple[str | int, ...]


def load_plant(path: Path, endpoints: Mapping[str, Any] | None = None, influxdb: Path | None = None) -> Plant:
    """Read and check a plant file.

    ``endpoints`` are what the simulators publish (``{"simulated": true, "devices": {name: options}}``): they replace
    those options of the devices and mark the plant as simulated, and must then cover every device. ``influxdb`` is a
    file whose section of that name is used instead of the plant's own.

    Raises SourceError with every mistake (file:line:column), OSError when the file cannot be read.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    return parse_plant(text, str(path), endpoints, None if influxdb is None else read_section(influxdb))


def parse_plant(
    text: str, file: str, endpoints: Mapping[str, Any] | None = None, influxdb: PlacedSection | None = None
) -> Plant:
    """The same from a text; ``file`` is only the name for messages."""
    document = Document(text, file)
    if not isinstance(document.data, dict):
        raise SourceError([Mistake(file, 1, 1, "this is not a plant file: it holds no keys")])
    refuse_token(document)
    sections = document.validated(PlantFile, document.data)
    if influxdb is None and sections.influxdb is not None:
        influxdb = PlacedSection(document, sections.influxdb)
    return _Loader(document, sections, endpoints, influxdb).plant(text)


class _Loader:
    """Resolves the sections of one file and collects what is wrong with them."""

    def __init__(
        self,
        document: Document,
        sections: PlantFile,
        endpoints: Mapping[str, Any] | None,
        influxdb: PlacedSection | None,
    ) -> None:
        self._document = document
        self._file = sections
        self._endpoints: Mapping[str, Any] = (endpoints or {}).get("devices", {})
        self._simulated = bool(endpoints and endpoints.get("simulated"))
        self._influxdb = influxdb
        self._mistakes: list[Mistake] = []
        self._types: dict[str, DriverType] = {}
        self._checked: dict[str, Model] = {}

    def plant(self, text: str) -> Plant:
        declared = [self._tag(i, name, section) for i, (name, section) in enumerate(self._file.tags.items())]
        if self._mistakes:  # nothing else can be checked with tags that are not right
            raise SourceError(self._mistakes)
        links = list(missing_link_tags(self._file.devices, self._file.tags, len(declared)))
        tags = TagTable([*declared, *links])
        symbols = {t.name: Symbol(t.name, t.unit, t.labels) for t in tags}
        devices = self._devices(tags)
        writes = {
            name: self._write(name, section.write, tags[name])
            for name, section in self._file.tags.items()
            if section.write is not None
        }
        for name, section in self._file.tags.items():
            self._says_what_it_does_on_silence(name, section)
        plant = Plant(
            name=self._file.name,
            text=text,
            hash=hashlib.sha256(text.encode()).hexdigest(),
            scan_s=self._file.scan,
            wire_scan_s=self._file.wire_scan,
            simulated=self._simulated,
            devices=devices,
            tags=tags,
            writes=writes,
            derived=tuple(self._derived(symbols)),
            internal=frozenset(self._internal() | {tag.name for tag in links}),
            units={name: self._unit(name, s, symbols, tags, writes) for name, s in self._file.units.items()},
            loops=make_loops(self._file.loops, tags, writes, self._file.units, self._wrong),
            interlocks={
                name: self._interlock(name, s, symbols, tags, writes) for name, s in self._file.interlocks.items()
            },
            permissives={
                name: self._permissive(name, s, symbols, writes) for name, s in self._file.permissives.items()
            },
            expiries=self._expiries(),
            alarms=self._alarms(tags, writes, symbols),
            checks=self._checks(tags, symbols),
            modules={name: _module(name, section) for name, section in self._file.modules.items()},
            symbols=symbols,
            target=self._target(tags),
            retention=_retention(self._file.history),
        )
        if not self._file.scan > 0:
            self._wrong(("scan",), "the scan must be longer than 0 s")
        self._try_drivers(devices)
        if self._mistakes:
            raise SourceError(self._mistakes)
        return plant

    # -- tags and devices ------------------------------------------------------------------------------------------

    def _tag(self, index: int, name: str, section: TagSection) -> Tag:
        where: Where = ("tags", name)
        if "." not in name or not name.replace(".", "").replace("_", "").isalnum():
            self._wrong(where, f"tag {name!r}: write UNIT.SIGNAL in letters, digits and underscores")
        sources = [k for k in ("device", "expression", "rate", "spread") if getattr(section, k) is not None]
        if len(sources) + section.internal != 1:
            self._wrong(where, f"tag {name!r} needs exactly one of: device, expression, rate, spread, internal")
        unit = section.unit
        with self._placed((*where, "unit"), UnitError):
            parse(unit)
        low, high, labels = section.low, section.high, section.labels
        if section.kind in (TagKind.DISCRETE, TagKind.ENUM):
            labels = labels or (("off", "on") if section.kind is TagKind.DISCRETE else ())
            high = float(len(labels) - 1) if high is None else high
            if section.kind is TagKind.ENUM and not labels:
                self._wrong(where, f"tag {name!r} is an enum: give its labels")
        elif section.kind is TagKind.TEXT:
            high = 0.0 if high is None else high
        elif high is None:
            self._wrong(where, f"tag {name!r} needs its range: low and high")
            high = low + 1.0
        if section.kind is TagKind.ANALOG and not low < high:
            self._wrong(where, f"tag {name!r}: low {low:g} is not below high {high:g}")
        if section.device is not None and section.device not in self._file.devices:
            self._wrong(where, f"unknown device {section.device!r}{nearest(section.device, self._file.devices)}")
        if section.write is not None and section.device is None:
            self._wrong(where, f"tag {name!r} has no device and cannot be written")
        if section.write is not None and name.partition(".")[0] not in self._file.units:
            self._wrong(where, f"tag {name!r} is written, and belongs to no unit: begin its name with one of units")
        kept = section.on_change
        if kept is not None and section.record:
            what = f"tag {name!r}: a tag of the batch record is kept at every scan; set record: false"
            self._wrong((*where, "on_change"), what)
        tag = Tag(
            name=name,
            index=index,
            unit=unit,
            kind=section.kind,
            low=low,
            high=high,
            description=section.description,
            labels=labels,
            record=section.record,
            decimals=section.decimals,
            deadband=0.0 if kept is None else kept.deadband,
            max_interval_s=0.0 if kept is None else kept.max_interval,
        )
        if not self._mistakes and (wrong := misfit(tag)):
            self._wrong(where, f"tag {name!r} tells of a link: {wrong}")
        return tag

    def _expiries(self) -> dict[str, float]:
        expiries = {name: s.expires for name, s in self._file.tags.items() if s.expires is not None}
        for name in expiries:
            if not self._file.tags[name].internal:
                what = f"tag {name!r} is read anew each scan: only an internal tag expires"
                self._wrong(("tags", name, "expires"), what)
        return expiries

    def _internal(self) -> set[str]:
        return {name for name, section in self._file.tags.items() if section.internal}

    def _devices(self, tags: TagTable) -> dict[str, DeviceSpec]:
        result = {}
        for name, section in self._file.devices.items():
            try:
                self._types[name] = driver_type(section.driver)
            except UnknownDriverError as error:
                self._wrong(("devices", name, "driver"), str(error))
                continue
            options = self._options(name, section)
            if options is None:
                continue
            timeout = float(getattr(options, "timeout_s", DEFAULT_TIMEOUT_S))
            points = tuple(self._points(name, tags))
            self._checked[name] = options
            result[name] = DeviceSpec(name, section.driver, options, points, timeout)
        return result

    def _try_drivers(self, devices: Mapping[str, DeviceSpec]) -> None:
        """Make each driver once: what only it can find wrong is a mistake of the file too."""
        if self._mistakes:
            return
        for name, spec in devices.items():
            try:
                self._types[name](name, spec.options, spec.points, LiveClock())
            except ValueError as error:
                self._wrong(("devices", name), str(error))

    def _options(self, name: str, section: DeviceSection) -> Model | None:
        given = dict(section.options)
        if self._simulated:
            if name not in self._endpoints:
                self._wrong(("devices", name), f"device {name!r} is not simulated: a plant is simulated as a whole")
            given |= self._endpoints.get(name, {})
        return self._model(self._types[name].options_model, given, ("devices", name, "options"))

    def _points(self, device: str, tags: TagTable) -> Iterator[BoundPoint]:
        for name, section in self._file.tags.items():
            if section.device != device:
                continue
            if section.point is None:
                self._wrong(("tags", name), f"tag {name!r} needs its point in device {device!r}")
                continue
            point = self._model(self._types[device].point_model, section.point, ("tags", name, "point"))
            if point is not None:
                yield BoundPoint(tags[name], point, tags.code_of)

    def _model(self, model: type[Model], data: Mapping[str, Any], where: Where) -> Model | None:
        try:
            return self._document.validated(model, dict(data), where)
        except SourceError as error:
            self._mistakes.extend(error.mistakes)
            return None

    def _write(self, name: str, section: WriteSection, tag: Tag) -> WriteSpec:
        where: Where = ("tags", name, "write")
        if section.feedback is not None:
            self._known(where, section.feedback)
        point = next((p.point for p in self._bound(name)), None)
        if point is not None and not getattr(point, "writable", False):
            self._wrong(where, f"tag {name!r}: its point is not writable (set writable: true in the point)")
        self._has_watchdog(name, section)
        low = tag.low if section.low is None else section.low
        high = tag.high if section.high is None else section.high
        if low > high:
            self._wrong(where, f"tag {name!r}: low {low:g} is above high {high:g}")
        resolution = 0.5 * 10.0**-tag.decimals if section.resolution is None else section.resolution
        return WriteSpec(
            low, high, section.on_silence, resolution, section.feedback, section.feedback_tolerance, section.within
        )

    def _has_watchdog(self, name: str, section: WriteSection) -> None:
        """An actuator can count only on a watchdog that the engine feeds."""
        device = self._file.tags[name].device or ""
        options = self._checked.get(device)
        counts_on_it = section.on_silence is OnSilence.CONTROLLER_WATCHDOG
        point = next((bound.point for bound in self._bound(name)), None)
        if counts_on_it and options is not None and point is not None and not watchdog_of(options, point):
            unit = getattr(point, "unit_id", None)
            whose = device if unit is None else f"unit {unit} of {device}"
            what = f"tag {name!r} counts on a watchdog that nobody feeds: {whose} has neither watchdog nor heartbeat"
            self._wrong(
                ("tags", name, "write", "on_silence"),
                f"{what} in its options; if it has none, write on_silence: runs_on",
            )

    def _says_what_it_does_on_silence(self, name: str, section: TagSection) -> None:
        """A point that can be written is an actuator: it must say what it does without us."""
        if section.write is None and any(getattr(bound.point, "writable", False) for bound in self._bound(name)):
            what = f"tag {name!r}: its point is writable, but it has no write: say what it does on silence"
            self._wrong(("tags", name), f"{what} (write: {{on_silence: ...}}), or leave writable out")

    def _bound(self, name: str) -> Iterator[BoundPoint]:
        section = self._file.tags[name]
        if section.device in self._types and section.point is not None:
            try:
                point = self._types[section.device].point_model.model_validate(section.point)
            except ValidationError:
                return  # told already where the device's points are read
            yield BoundPoint(Tag(name, 0, "", TagKind.ANALOG, 0, 1), point)

    def _derived(self, symbols: Mapping[str, Symbol]) -> Iterator[DerivedSpec]:
        worked_out = {n for n, section in self._file.tags.items() if section.device is None and not section.internal}
        earlier = {name: symbol for name, symbol in symbols.items() if name not in worked_out}
        for name, section in self._file.tags.items():
            where: Where = ("tags", name)
            if section.expression is not None:
                with self._placed((*where, "expression"), ExpressionError, UnitError):
                    line, column = self._document.place((*where, "expression"))
                    compile_value(section.expression, earlier, unit=section.unit, line=line, column=column)
                yield DerivedSpec(name, expression=section.expression)
            elif (window := section.rate or section.spread) is not None:
                if window.of not in earlier:
                    self._wrong(where, f"unknown tag {window.of!r}{nearest(window.of, earlier)}")
                    continue
                if section.rate is not None:
                    per_s = self._per_second(where, section.unit, symbols[window.of].unit)
                    yield DerivedSpec(name, rate=RateSpec(window.of, window.over, per_s))
                else:
                    yield DerivedSpec(name, spread=SpreadSpec(window.of, window.over))
            else:
                continue
            earlier[name] = symbols[name]

    def _per_second(self, where: Where, rate_unit: str, source_unit: str) -> float:
        """How many of the rate's unit are one of the source's unit per second."""
        with self._placed((*where, "unit"), UnitError):
            return convert(1.0, divide(source_unit, "s"), rate_unit)
        return math.nan

    def _target(self, tags: TagTable) -> Target | None:
        self._mistakes.extend(forwarding_mistakes(self._document, tags))
        if self._influxdb is None:
            return None
        try:
            return make_target(self._influxdb, self._file.name, tags, self._simulated)
        except SourceError as error:
            self._mistakes.extend(error.mistakes)
            return None

    # -- units, loops, interlocks, alarms --------------------------------------------------------------------------

    def _unit(
        self,
        name: str,
        section: UnitSection,
        symbols: Mapping[str, Symbol],
        tags: TagTable,
        writes: Mapping[str, WriteSpec],
    ) -> UnitSpec:
        where: Where = ("units", name)
        contents: tuple[str, ...] = ()
        if self._known((*where, "content_tag"), section.content_tag):
            contents = tags[section.content_tag].labels
        if SAFE_DEFAULT not in section.safe_states:
            self._wrong((*where, "safe_states"), f"unit {name!r} needs a safe state named {SAFE_DEFAULT!r}")
        states: dict[str, dict[str, float]] = {}
        for content, state in section.safe_states.items():
            if content != SAFE_DEFAULT and content not in contents:
                self._wrong(
                    (*where, "safe_states", content),
                    f"{section.content_tag} has no label {content!r}{nearest(content, contents)}",
                )
            states[content] = self._safe_state((*where, "safe_states", content), state, tags, writes)
        missing = [tag for tag in writes if tag.startswith(f"{name}.") and self._moves(writes[tag])]
        for content, given in section.safe_states.items():
            for tag in missing:
                if tag not in given:
                    self._wrong(
                        (*where, "safe_states", content), f"safe state {content!r} does not say where {tag} goes"
                    )
        for item in section.reconcile:
            self._known((*where, "reconcile"), item.tag)
        return UnitSpec(
            name,
            section.unit_class,
            section.content_tag,
            states,
            section.safe_within,
            section.constants,
            tuple(ReconcileSpec(item.tag, item.tolerance) for item in section.reconcile),
            tuple(self._take_over((*where, "take_over"), item, symbols, tags, writes) for item in section.take_over),
            section.description,
        )

    def _take_over(
        self,
        where: Where,
        section: TakeOverSection,
        symbols: Mapping[str, Symbol],
        tags: TagTable,
        writes: Mapping[str, WriteSpec],
    ) -> TakeOverSpec:
        self._condition(where, section.when, symbols)
        values = self._safe_state(where, {section.tag: section.to}, tags, writes)
        return TakeOverSpec(section.when, section.tag, values.get(section.tag, math.nan))

    @staticmethod
    def _moves(write: WriteSpec) -> bool:
        return write.on_silence.value != "stays"

    def _safe_state(
        self, where: Where, state: Mapping[str, float | str], tags: TagTable, writes: Mapping[str, WriteSpec]
    ) -> dict[str, float]:
        result: dict[str, float] = {}
        for name, value in state.items():
            if name not in writes:
                self._wrong((*where, name), f"{name!r} is not a tag that can be written{nearest(name, writes)}")
            elif isinstance(value, str):
                labels = tags[name].labels
                if value in labels:
                    result[name] = float(labels.index(value))
                else:
                    self._wrong((*where, name), f"{name} has no label {value!r}{nearest(value, labels)}")
            elif writes[name].low <= value <= writes[name].high:
                result[name] = value
            else:
                limits = f"{writes[name].low:g} to {writes[name].high:g}"
                self._wrong((*where, name), f"{name}: {value:g} is outside {limits} {tags[name].unit}")
        return result

    def _interlock(
        self,
        name: str,
        section: InterlockSection,
        symbols: Mapping[str, Symbol],
        tags: TagTable,
        writes: Mapping[str, WriteSpec],
    ) -> InterlockSpec:
        where: Where = ("interlocks", name)
        unit = self._owner_unit(where, name)
        for tag in section.trip:
            if tag.partition(".")[0] != unit:
                self._wrong((*where, "trip", tag), f"{tag!r} is not an actuator of {unit}, which {name} trips")
        if not section.whole_unit and not section.trip:
            self._wrong((*where, "whole_unit"), f"{name!r} trips nothing: name its actuators in trip")
        self._condition(("interlocks", name, "when"), section.when, symbols)
        if section.only_while:
            self._condition(("interlocks", name, "only_while"), section.only_while, symbols)
        return InterlockSpec(
            name=name,
            unit=unit,
            when=section.when,
            while_=section.only_while,
            tolerance_s=section.tolerance,
            latched=section.latched,
            description=section.description,
            consequence=section.consequence,
            corrective_action=section.corrective_action,
            trip=self._safe_state((*where, "trip"), section.trip, tags, writes),
            whole_unit=section.whole_unit,
            bypass_longest_s=section.bypass_longest,
        )

    def _permissive(
        self, name: str, section: PermissiveSection, symbols: Mapping[str, Symbol], writes: Mapping[str, WriteSpec]
    ) -> PermissiveSpec:
        where: Where = ("permissives", name)
        unit = self._owner_unit(where, name)
        self._condition((*where, "when"), section.when, symbols)
        for tag in section.commands:
            if tag not in writes:
                what = f"{tag!r} is not a tag that can be written{nearest(tag, writes)}"
                self._wrong((*where, "commands"), what)
        return PermissiveSpec(
            name, unit, section.when, section.commands, section.description, section.corrective_action
        )

    def _alarms(
        self, tags: TagTable, writes: Mapping[str, WriteSpec], symbols: Mapping[str, Symbol]
    ) -> dict[str, AlarmSpec]:
        def is_condition(where: Where, text: str) -> None:
            self._condition(where, text, symbols)

        return make_alarms(self._file.alarms, tags, writes, self._wrong, is_condition, self._alarm_unit)

    def _alarm_unit(self, where: Where, name: str) -> str:
        """The engine's own alarms stand beside the units'."""
        return ENGINE_UNIT if name.startswith(f"{ENGINE_UNIT}.") else self._owner_unit(where, name)

    def _checks(self, tags: TagTable, symbols: Mapping[str, Symbol]) -> dict[str, CheckSpec]:
        for name in self._file.checks:
            self._owner_unit(("checks", name), name)
        read = {name for name, section in self._file.tags.items() if section.device is not None}
        return make_checks(
            self._file.checks,
            tags,
            read,
            self._internal(),
            self._wrong,
            lambda where, text: self._condition(where, text, symbols),
        )

    def _owner_unit(self, where: Where, name: str) -> str:
        unit = name.partition(".")[0]
        if unit not in self._file.units:
            self._wrong(where, f"{name!r} does not begin with a unit's name{nearest(unit, self._file.units)}")
        return unit

    # -- mistakes --------------------------------------------------------------------------------------------------

    def _condition(self, where: Where, text: str, symbols: Mapping[str, Symbol]) -> None:
        with self._placed(where, ExpressionError):
            line, column = self._document.place(where)
            compile_condition(text, symbols, line=line, column=column)

    def _known(self, where: Where, tag: str) -> bool:
        if tag in self._file.tags:
            return True
        self._wrong(where, f"unknown tag {tag!r}{nearest(tag, self._file.tags)}")
        return False

    def _wrong(self, where: Where, what: str) -> None:
        self._mistakes.append(self._document.mistake(where, what))

    @contextmanager
    def _placed(self, where: Where, *errors: type[ValueError]) -> Iterator[None]:
        try:
            yield
        except ExpressionError as error:
            self._mistakes.extend(
                Mistake(self._document.file, one.line, one.column, one.message) for one in (error, *error.more)
            )
        except errors as error:
            self._wrong(where, str(error))


def _retention(section: HistorySection | None) -> Retention | None:
    return None if section is None else Retention(section.keep or 0.0, round((section.most_gb or 0.0) * 1e9))


def _module(name: str, section: ModuleSection) -> ModuleSpec:
    return ModuleSpec(
        name=name,
        area_m2=section.area,
        fibres=section.fibres,
        fibre_radius_mm=section.fibre_radius * 1000.0,
        length_m=section.length,
        max_uses=section.max_uses,
        description=section.description,
    )
