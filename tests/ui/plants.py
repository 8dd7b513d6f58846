"""A plant as large as a whole suite, as a snapshot that no engine had to make."""

from __future__ import annotations

import math

from evcontrol.api.schema import (
    AlarmView,
    BatchEvent,
    BatchSummary,
    BatchView,
    Delta,
    ElementView,
    InterlockView,
    LinkView,
    LoopView,
    OwnerView,
    Snapshot,
    Status,
    TagView,
    Topic,
    UnitView,
    Writable,
)

T0 = 1_760_000_000 * 1_000_000_000
UNITS = ("BR101", "TFF201", "NTA301")
BAD = 0x808A_0000
UNCERTAIN = 0x4094_0000
NAMES = {
    "BR101": "TT degC 0 60|AT_PH pH 0 14|AT_DO %O2 0 100|PT_HEAD mbarg 0 500|LT %v/v 0 110|AGIT rpm 0 400"
    "|AT_GLC mM 0 20|AT_LAC mM 0 40|F_AIR mL/min 0 500|F_N2 mL/min 0 500|F_CO2 mL/min 0 100"
    "|F_O2 mL/min 0 100|FT_MED mL/min 0 500"
    "|FT_HARV mL/min 0 500|FT_CIRC mL/min 0 400|FT_CLAR mL/min 0 500|FQ_MED mL 0 100000|WT_VESSEL g 0 3000"
    "|WT_POOL g 0 9000",
    "TFF201": "PT_FEED psig -10 60|PT_RET psig -10 60|PT_PERM psig -10 60|FT_FEED mL/min 0 3000|FT_PERM mL/min 0 600"
    "|CT mS/cm 0 200|TT degC -10 80|LT %v/v 0 110|WT_RET g 0 6000|WT_PERM g 0 12000|TMP psi -20 60|FLUX LMH -100 1000",
    "NTA301": "CONC_STOCK particle/mL 0 1e13|CONC_MEASURED particle/mL 0 1e10|MEAN nm 0 1000|MODE nm 0 1000"
    "|SD nm 0 1000|D10 nm 0 1000|D50 nm 0 1000|D90 nm 0 1000",
}
SETPOINTS = 14
STATES = 14


def tag(name: str, unit: str = "", kind: str = "analog", **more: object) -> TagView:
    fields: dict[str, object] = {
        "name": name,
        "unit": unit,
        "kind": kind,
        "low": None,
        "high": None,
        "decimals": 2,
        "description": f"What {name.partition('.')[2].lower().replace('_', ' ')} says",
        "labels": [],
        "writable": None,
    }
    return TagView.model_validate(fields | more)


def tags() -> list[TagView]:
    found = []
    for unit, listed in NAMES.items():
        for entry in listed.split("|"):
            name, measure, low, high = entry.split()
            found.append(tag(f"{unit}.{name}", measure, low=float(low), high=float(high)))
        found += [
            tag(f"{unit}.V{n:03d}_SP", "mL/min", low=0.0, high=500.0, writable=Writable(low=0.0, high=500.0))
            for n in range(SETPOINTS)
        ]
        found += [tag(f"{unit}.XV{n:03d}", kind="discrete", labels=["closed", "open"]) for n in range(STATES)]
        found.append(tag(f"{unit}.STATE", kind="enum", labels=["Idle", "Running"]))
        found.append(tag(f"{unit}.PHASE", kind="text"))
    return [*found, tag("SYS.SPEED", low=0.0, high=1e5)]


def snapshot(alarms: int = 4) -> Snapshot:
    every = tags()
    values: list[float | str | None] = []
    quality = []
    for place, one in enumerate(every):
        bad, doubt = place % 17 == 16, place % 13 == 12
        if one.kind == "text":
            values.append("condition")
        elif one.low is not None and one.high is not None:
            values.append(None if bad else one.low + (one.high - one.low) * (0.5 + 0.4 * math.sin(place)))
        else:
            values.append(None if bad else float(place % 2))
        quality.append(BAD if bad else UNCERTAIN if doubt else 0)
    priorities = ("critical", "high", "medium", "low")
    return Snapshot(
        status=Status(version="1", plant="EV suite", plant_hash="", simulated=True, clock="scaled", speed=120.0),
        tags=every,
        values=Delta(t=T0, i=list(range(len(every))), v=values, q=quality),
        units=[
            UnitView(unit=name, unit_class=name[:3].lower(), mode="automatic", batch="B-0001", safe=False)
            for name in UNITS
        ],
        owners=[
            OwnerView(tag=one.name, owner="phase", holder=f"B-0001/ev_batch/culture/{one.name[:3].lower()}_phase")
            for one in every
            if one.writable is not None
        ],
        links=[
            LinkView(device=name, state="ready", reason="", since=T0, units=[unit])
            for name, unit in (("BR101", "BR101"), ("BR101-ST", "BR101"), ("TFF201", "TFF201"), ("NTA301", "NTA301"))
        ],
        loops=[
            LoopView(
                loop="TFF201.PIC_TMP",
                unit="TFF201",
                mode="auto",
                pv="TFF201.TMP",
                output="TFF201.V001_SP",
                setpoint=4.0,
                setpoint_low=0.5,
                setpoint_high=8.0,
            )
        ],
        interlocks=[
            InterlockView(
                interlock=f"{unit}.INTERLOCK_{n}",
                unit=unit,
                tripped=n == 0,
                latched=True,
                cause="TMP above 10 psi" if n == 0 else "",
                since=T0,
                description="Something is too high",
                consequence="Something breaks",
                corrective_action="Look for what is closed",
            )
            for unit in UNITS
            for n in range(4)
        ],
        alarms=[
            AlarmView(
                alarm=f"BR101.ALARM_{n}",
                unit="BR101",
                state="unacknowledged",
                priority=priorities[n % 4],
                acknowledged=False,
                since=T0 + n,
                text="Dissolved oxygen is far from its setpoint",
                corrective_action="Look at the gas bottles and the mass-flow controllers",
            )
            for n in range(alarms)
        ],
        batches=[],
        prompts=[],
    )


def batch() -> BatchEvent:
    """A batch of many steps, two of which run."""
    paths = ["", "culture"]
    paths += [f"culture/step_{n:02d}" for n in range(20)]
    paths += ["filtration"] + [f"filtration/step_{n:02d}" for n in range(20)]
    running = ("", "culture", "filtration", "culture/step_07", "filtration/step_11")
    elements = [
        ElementView(
            path=path,
            kind="phase" if "/" in path else "procedure",
            state="Running" if path in running else "Idle",
            waiting="WT_POOL >= 3344.9 g (now 2546.1 g)" if path in running and "/" in path else "",
            commands=["hold", "stop", "abort"] if path in running else [],
        )
        for path in paths
    ]
    summary = BatchSummary(
        batch="B-0001",
        recipe="EV batch",
        product="MSC-EV",
        purpose="a test",
        state="Running",
        units=list(UNITS),
        created=T0,
        running=[],
        waiting=[],
        reconciliation_due=False,
    )
    return BatchEvent(topic=Topic.BATCH, key="B-0001", body=BatchView(summary=summary, elements=elements, prompts=[]))
