"""The journal's vocabulary: every kind of event, and what its body holds.

Bodies are plain JSON objects with the keys given beside each kind. Readings (loop outputs, trends) are history, not
journal: the journal has decisions, commands, states and identities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

GENESIS: Final = "0" * 64
"""``prev`` of the first event of a journal."""


class Kind(StrEnum):
    """Kinds of events; the part before the dot is the room that speaks."""

    # the engine itself
    ENGINE_STARTED = "engine.started"  # version, plant, plant_hash, clock, speed, simulated, previous_end, constants
    ENGINE_STOPPED = "engine.stopped"  # reason
    CLOCK_SPEED = "clock.speed"  # speed, reason
    LINK_STATE = "link.state"  # device, state, reason
    HISTORY_GAP = "history.gap"  # from, to, reason
    # people
    USER_ADDED = "user.added"  # user, full_name, roles
    USER_CHANGED = "user.changed"  # user, what, old, new
    SESSION_OPENED = "session.opened"  # user, station
    SESSION_CLOSED = "session.closed"  # user, reason
    SESSION_DENIED = "session.denied"  # user, reason
    SIGNATURE = "signature"  # user, full_name, meaning, subject, shown_hash
    DENIED = "denied"  # user, permission, what: an action that the role does not allow
    # commands and owners
    COMMAND_INTENT = "command.intent"  # command, tag, value, unit, previous, why, class
    COMMAND_OUTCOME = "command.outcome"  # command, tag, outcome, reason, read_back
    COMMAND_REFUSED = "command.refused"  # command, tag, value, unit, reason
    OWNER_CHANGED = "owner.changed"  # tag, old, new, reason
    MODE_CHANGED = "mode.changed"  # unit, old, new, reason
    LOCAL_CHANGE = "local.change"  # tag, expected, read: the device was changed by somebody else
    VALUE_FORCED = "value.forced"  # tag, value, unit, until, duration_s, reason: in place of what is read
    VALUE_FORCE_ENDED = "value.force_ended"  # tag, reason
    DEVICE_RESTARTED = "device.restarted"  # device, unit, before, after, changed: [{tag, expected, read}]
    LOOP_CHANGED = "loop.changed"  # loop, mode, setpoint, unit, reason
    INTERLOCK_TRIPPED = "interlock.tripped"  # interlock, cause, first_out
    INTERLOCK_RESET = "interlock.reset"  # interlock
    INTERLOCK_BYPASSED = "interlock.bypassed"  # interlock, until, duration_s, reason
    INTERLOCK_BYPASS_ENDED = "interlock.bypass_ended"  # interlock, reason
    INTERLOCK_PASSED = "interlock.passed"  # interlock, cause; it would have tripped
    SAFE_STATE = "safe.state"  # unit, why, reached: [tag], not_reached: [{tag, reason}]
    # alarms
    ALARM_STATE = "alarm.state"  # alarm, old, new, priority, value, unit, text, until, first_out
    ALARM_SETPOINT = "alarm.setpoint"  # alarm, old, new, unit, configured, reason
    SENSOR_CHECK = "sensor.check"  # check, tags, quality, text
    # master recipes, by the SHA-256 of their text
    RECIPE_SUBMITTED = "recipe.submitted"  # hash, name, version, product, file, text, reason
    RECIPE_STATE = "recipe.state"  # hash, old, new, reason; a decision is signed by the event before
    PRODUCT_REQUALIFIED = "product.requalified"  # product, hash, reason; signed by the event before
    # batches and their procedural elements (path = place in the procedure, e.g. "concentrate/df1")
    BATCH_CREATED = (
        "batch.created"  # recipe {name, version, hash, text, file, state}, kind, purpose, product, units, parameters
    )
    UNIT_ALLOCATED = "unit.allocated"  # unit; one that the batch takes when it needs it
    UNIT_RELEASED = "unit.released"  # unit; nothing of the batch needs it any more
    STATE_CHANGED = "state.changed"  # old, new, command, reason; path "" is the procedure itself
    PARAMETER_CHANGED = "parameter.changed"  # name, old, new, unit, reason
    STEPPING_CHANGED = "stepping.changed"  # single, breakpoints: [path], reason
    STEP_TAKEN = "step.taken"  # element; it stood at a step or a breakpoint and begins
    BATCH_JUMPED = "batch.jumped"  # to, skipped: [path], stopped: [path], reason
    BATCH_REVISED = "batch.revised"  # revision, recipe {as in batch.created}, parameters, differences: [line], reason
    BATCH_FROZEN = "batch.frozen"  # reason
    BATCH_THAWED = "batch.thawed"  # reason
    PHASE_PROGRESS = "phase.progress"  # key, value: written before what it describes is begun
    PHASE_RESULT = "phase.result"  # name, value, unit
    PROMPT_OPENED = "prompt.opened"  # prompt, kind, text, unit, low, high, choices, meaning
    PROMPT_ANSWERED = "prompt.answered"  # prompt, key, value, unit, comment
    RECONCILIATION_SHOWN = (
        "reconciliation.shown"  # batch, items: [{what, expected, read, verdict, value}], outage_s, hash, tags, since
    )
    REPORT_MADE = "report.made"  # file, sha256
    # things with identity
    MATERIAL_RECEIVED = "material.received"  # material, lot, quantity, unit, expiry
    CONTAINER_REGISTERED = "container.registered"  # container, type, content, state, tare_g
    CONTAINER_CHANGED = "container.changed"  # container, state, content, mass_g, reason
    SAMPLE_TAKEN = "sample.taken"  # sample, container, volume_ml, label
    COUNT_TAKEN = (
        "count.taken"  # sample, sample_no, kind, container, file, sha256, software, captured_at, dilution,
        # dilution_source, concentration_measured, concentration_stock, cv, replicates, mean, mode, sd, d10, d50, d90,
        # fraction_below_200, tracks, warnings
    )
    CELLS_COUNTED = "cells.counted"  # when, viable, viability, method, cv
    MODULE_INSTALLED = "module.installed"  # module, type, area_m2, uses, state, unit, fibres, fibre_radius_mm, length_m
    MODULE_CHANGED = "module.changed"  # module, state, uses, nwp, reason


class ProcessActor(StrEnum):
    """Actors that are not people; a person is ``user:<name>``."""

    ENGINE = "engine"
    PHASE = "phase"
    LOOP = "loop"
    INTERLOCK = "interlock"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    ``seq`` counts from 0 over the whole plant; ``t`` process time and ``wall`` machine time (UTC ns); ``actor`` who,
    ``station`` from where; ``batch`` and ``path`` are empty when the event belongs to none; ``prev`` is the SHA-256 of
    the line before (hexadecimal).
    """

    seq: int
    t: int
    wall: int
    kind: Kind
    actor: str
    station: str
    batch: str
    path: str
    body: Mapping[str, Any]
    prev: str = field(default=GENESIS)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who does something, and from which station: carried by every command."""

    actor: str
    station: str = ""

    @classmethod
    def user(cls, name: str, station: str) -> Origin:
        """A signed-on person at a station."""
        return cls(f"user:{name}", station)


ENGINE: Final = Origin(ProcessActor.ENGINE)
