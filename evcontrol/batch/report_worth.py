"""The part of the batch report about its worth: yield, recovery and size, with everything that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from evcontrol.batch.collected import LEAST_G, LIMIT, MassCheck
from evcontrol.batch.markup import Markup, element, join, paragraph, section, show, table, verdict
from evcontrol.batch.wording import moment
from evcontrol.batch.worth import Standing, Worth, amount, summary
from evcontrol.product.cells import CellCount
from evcontrol.product.count import Check, Count, Verdict, concentration
from evcontrol.product.evaluation import Evaluation, Input, Source
from evcontrol.product.size import SMALL_NM
from evcontrol.product.yields import Closure

STANDINGS: Final = {
    Standing.DETERMINED: verdict("determined", "good"),
    Standing.INCOMPLETE: verdict("INCOMPLETE", "warn"),
    Standing.PROVISIONAL: verdict("PROVISIONAL", "warn"),
    Standing.DOUBTFUL: verdict("OUTSIDE LIMITS", "bad"),
    Standing.MISSING: verdict("NO YIELD", "warn"),
}
_CHECK_CSS: Final = {Verdict.PASSED: "", Verdict.FAILED: "bad", Verdict.UNKNOWN: "warn"}
_MASS_CSS: Final = {Closure.CLOSES: "", Closure.OPEN: "bad", Closure.INCONCLUSIVE: "warn"}
_AGREES: Final = {Closure.CLOSES: "agrees", Closure.OPEN: "DOES NOT AGREE", Closure.INCONCLUSIVE: "not known"}

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 900, 26, 150, 20, 14, 34
"""The picture of sizes, and where its scale stands in it."""
LEAST_NM, STEP_NM = 300.0, 50


def verdict_row(found: Worth | None) -> list[tuple[str, Markup]]:
    """The row of the report's verdicts; none where there is nothing to evaluate."""
    if found is None:
        return []
    return [("Yield and recovery", join([STANDINGS[found.standing], summary(found)], " "))]


def yield_and_size(found: Worth | None) -> Markup:
    """The section; empty where there is nothing to evaluate."""
    if found is None:
        return Markup("")
    inputs = _inputs(found)
    note = (
        "\N{PLUS-MINUS SIGN} is one standard uncertainty; CV is that over the value. Counts and masses carry declared "
        "uncertainties where nothing better was measured; what two counts of one instrument share leaves their ratio."
    )
    return section(
        "Yield, recovery and size",
        paragraph(join([STANDINGS[found.standing], summary(found)], " ")),
        paragraph(note, "note"),
        element("h3", "Results"),
        _results(found, inputs),
        element("h3", "What they were worked out from"),
        table(
            ("No.", "What", "Value", "CV", "Where from"),
            [(str(i), each.name, _value(each), _cv(each.figure.cv), _from(each.source)) for i, each in
             enumerate(inputs, 1)],
        ),
        element("h3", "Particles counted"),
        _counts(found.counts, found.used),
        element("h3", "Sizes"),
        _sizes(found.used),
        element("h3", "Acceptance of the counts"),
        _checks(found.checks),
        element("h3", "Viable cells"),
        _cells(found.cells),
        element("h3", "Collected masses against the load cells"),
        _masses(found.masses),
    )  # fmt: skip


def _inputs(found: Worth) -> list[Input]:
    """Every input of every result, each once, in the order of reading."""
    inputs: list[Input] = []
    for result in found.results:
        inputs += [each for each in result.inputs if each not in inputs]
    return inputs


def _results(found: Worth, inputs: list[Input]) -> Markup:
    rows = [
        (
            result.name,
            "none" if result.figure is None else amount(result.figure),
            "" if result.figure is None else _cv(result.figure.cv),
            result.formula,
            ", ".join(str(inputs.index(each) + 1) for each in result.inputs),
            _remarks(result, found),
        )
        for result in found.results
    ]
    css = ["warn" if result.figure is None or result.provisional else "" for result in found.results]
    return table(("Result", "Value", "CV", "Worked out as", "From", "Remarks"), rows, css)


def _remarks(result: Evaluation, found: Worth) -> str:
    parts = [*result.missing]
    parts += [f"PROVISIONAL: {reason}" for reason in result.provisional]
    if result is found.balance.share:
        parts.append(f"{found.balance.closure.value} (80 to 120 %, with a CV of at most 20 %)")
    return "; ".join([*parts, *result.notes])


def _counts(counts: Sequence[Count], used: Sequence[Count]) -> Markup:
    rows = []
    for each in counts:
        stock = concentration(each)
        rows.append(
            (
                moment(each.source.t),
                each.sample,
                each.kind,
                each.container,
                _number(each.measured, ".4g"),
                _dilution(each),
                "none" if stock.figure is None else amount(stock.figure),
                "" if any(each is one for one in used) else "superseded by a later count",
                join([each.source.what, element("code", each.source.sha256)], " "),
                each.warnings,
            )
        )
    head = ("Counted", "Sample", "Kind", "Container", "Measured, particle/mL", "Dilution", "Concentration", "Used",
            "Export and its SHA-256", "Warnings")  # fmt: skip
    css = ["warn" if each.warnings or each.dilution is None else "" for each in counts]
    return table(head, rows, css, "No particles were counted.")


def _sizes(used: Sequence[Count]) -> Markup:
    rows = [
        (
            each.sample,
            each.kind,
            *(_number(value, ".1f") for value in (each.mean, each.mode, each.sd, each.d10, each.d50, each.d90)),
            _number(each.span, ".2f"),
            "not known" if each.fraction_below_200 is None else f"{100.0 * each.fraction_below_200:.1f} %",
        )
        for each in used
    ]
    head = ("Sample", "Kind", "Mean, nm", "Mode, nm", "SD, nm", "D10, nm", "D50, nm", "D90, nm", "Span",
            f"Below {SMALL_NM:g} nm")  # fmt: skip
    return join([table(head, rows, none="No sizes were measured."), _picture(used)])


def _picture(used: Sequence[Count]) -> Markup:
    """A bar from D10 to D90 for each count, with D50 as a line and the mode as a dot; none where no size is known."""
    drawn = [each for each in used if each.d10 is not None and each.d90 is not None]
    if not drawn:
        return Markup("")
    most = max([LEAST_NM, *(1.05 * (each.d90 or 0.0) for each in drawn)])
    height = TOP + ROW * len(drawn) + BOTTOM
    bottom = height - BOTTOM

    def x(nm: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(nm, 0.0), most) / most

    parts = [element("title", "Sizes of the particles")]
    step = STEP_NM * max(1, round(most / (STEP_NM * 12)))
    for nm in range(0, int(most) + 1, step):
        at = f"{x(nm):.1f}"
        parts.append(Markup(f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}" stroke="#eaeef2"/>'))
        parts.append(Markup(f'<text x="{at}" y="{bottom + 13}" font-size="9" text-anchor="middle">{nm}</text>'))
    parts.append(Markup(f'<line x1="{x(SMALL_NM):.1f}" x2="{x(SMALL_NM):.1f}" y1="{TOP}" y2="{bottom}" '
                        f'stroke="#a40e26" stroke-dasharray="4 3"/>'))  # fmt: skip
    for row, each in enumerate(drawn):
        parts.append(_bar(each, TOP + ROW * row + ROW / 2, x))
    legend = f"nm: D10 to D90 (bar), D50 (line), mode (dot); dashed: {SMALL_NM:g} nm"
    parts.append(Markup(f'<text x="{WIDTH - RIGHT}" y="{bottom + 27}" font-size="9" text-anchor="end">{legend}</text>'))
    return element("figure", Markup(f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'))


def _bar(each: Count, y: float, x: Callable[[float], float]) -> Markup:
    left, right, label = x(each.d10 or 0.0), x(each.d90 or 0.0), show(f"{each.sample} {each.kind}")
    parts = [
        f'<text x="{LEFT - 6}" y="{y + 3:.1f}" font-size="9" text-anchor="end">{label}</text>',
        f'<rect x="{left:.1f}" y="{y - 6:.1f}" width="{max(right - left, 1.0):.1f}" height="12" fill="#0b5cad" '
        'fill-opacity="0.3"/>',
    ]
    if each.d50 is not None:
        at = x(each.d50)
        parts.append(f'<path d="M{at:.1f} {y - 8:.1f}V{y + 8:.1f}" stroke="#0b5cad" stroke-width="2"/>')
    if each.mode is not None:
        parts.append(f'<circle cx="{x(each.mode):.1f}" cy="{y:.1f}" r="3" fill="#b54708"/>')
    return Markup("".join(parts))


def _checks(checks: Sequence[Check]) -> Markup:
    rows = [(check.subject, check.name, _checked(check), check.limit, check.verdict.value) for check in checks]
    css = [_CHECK_CSS[check.verdict] for check in checks]
    return table(("Sample", "Check", "Value", "Limit", "Verdict"), rows, css, "There is nothing to check.")


def _checked(check: Check) -> str:
    if check.value is None:
        return "not known"
    return f"{100.0 * check.value:.3g} %" if check.unit == "%" else f"{check.value:.4g} {check.unit}".rstrip()


def _cells(counts: Sequence[CellCount]) -> Markup:
    rows = [
        (
            moment(each.t),
            each.when,
            _number(each.viable, ".4g"),
            "not known" if each.viability is None else f"{100.0 * each.viability:.3g} %",
            each.method,
            _cv(each.input.figure.cv),
            f"event {each.source.event}",
        )
        for each in counts
    ]
    css = ["" if each.method == "counted" else "warn" for each in counts]
    head = ("Time", "When", "Viable cells", "Viability", "Method", "CV", "Where from")
    return table(head, rows, css, "Viable cells were not counted.")


def _masses(masses: Sequence[MassCheck]) -> Markup:
    rows = [
        (
            each.path,
            each.result,
            f"{each.put_down_g:.1f} g",
            each.tag,
            "not known" if each.read_g is None else f"{each.read_g:.1f} g",
            "" if each.difference_g is None else f"{each.difference_g:+.1f} g",
            f"{_AGREES[each.closure]}: {each.reason}" if each.reason else _AGREES[each.closure],
        )
        for each in masses
    ]
    head = ("Element", "Result", "Put down", "Load cell", "Gain read", "Difference", "Verdict")
    note = f"They agree within {100.0 * LIMIT:g} % or {LEAST_G:g} g."
    css = [_MASS_CSS[each.closure] for each in masses]
    return join([paragraph(note, "note"), table(head, rows, css, "Nothing was collected on a load cell.")])


def _value(each: Input) -> str:
    return f"{each.figure.value:.6g} {each.figure.unit}".rstrip()


def _from(source: Source) -> Markup:
    """Where a number stands, in one line."""
    parts = [show(source.what)]
    if source.tag:
        parts.append(show(source.tag))
    if source.event is not None:
        parts.append(show(f"event {source.event}"))
    if source.t is not None:
        parts.append(show(moment(source.t)))
    if source.sha256:
        parts.append(element("code", source.sha256))
    return join(parts, ", ")


def _dilution(each: Count) -> str:
    if each.dilution is None:
        return "NOT RECORDED"
    return f"{each.dilution:g} x ({each.dilution_source})" if each.dilution_source else f"{each.dilution:g} x"


def _number(value: float | None, form: str) -> str:
    return "not known" if value is None else format(value, form)


def _cv(cv: float) -> str:
    return f"{100.0 * cv:.2g} %"
