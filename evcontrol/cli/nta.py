"""``evcontrol nta``: what exports of nanoparticle-tracking instruments say, in words, as JSON, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.connection import os_error_words
from drivers.nta_export import NtaExport, NtaFileError, Replicate, read_export
from evcontrol.cli.fault import WRONG, WRONG_USE, CliError
from evcontrol.cli.nta_plot import plot
from evcontrol.cli.output import AsJson, complain, print_json, print_table, say

_NO_FIGURES: dict[str, float | None] = dict.fromkeys(("mean", "mode", "sd", "d10", "d50", "d90"))


def nta(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Exports: *-ExperimentSummary.csv of NanoSight, *_size_488.txt of ZetaView."
        ),
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.svg", help="Draw the size distributions.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """Read exports of NTA instruments; exit status 1 when one is refused."""
    if picture is not None:
        _spare(picture)
    found = [(file, _read(file)) for given in files for file in _named(given)]
    read = [(file, export) for file, export in found if isinstance(export, NtaExport)]
    if json:
        print_json([_document(file, export) for file, export in found])
    else:
        for file, export in found:
            if isinstance(export, NtaExport):
                _print(file, export)
            else:
                complain(export)
    if picture is not None and read:
        _draw(picture, read)
        if not json:
            say(f"the distribution{'s are' if len(read) > 1 else ' is'} drawn in {picture}")
    if len(read) < len(found):
        raise typer.Exit(WRONG)


def _named(given: Path) -> Iterator[Path]:
    """The files that a name stands for: itself, or those of a pattern that no shell has taken apart."""
    last = given.name
    matching = sorted(given.parent.glob(last)) if set(last) & set("*?[") and not given.exists() else []
    yield from matching or [given]


def _spare(picture: Path) -> None:
    """Refuse to draw over anything that is no picture of ours."""
    if picture.suffix != ".svg":
        raise CliError(f"--plot {picture}: the picture is an SVG; give a name that ends in .svg", status=WRONG_USE)
    try:
        with picture.open("rb") as there:
            is_picture = b"<svg" in there.read(1000)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CliError(f"{picture}: {os_error_words(error)}") from None
    if not is_picture:
        raise CliError(f"{picture} is there already and is no picture: give another name", status=WRONG_USE)


def _draw(picture: Path, read: Sequence[tuple[Path, NtaExport]]) -> None:
    try:
        picture.write_text(plot([(file.name, export) for file, export in read]), encoding="utf-8")
    except OSError as error:
        raise CliError(f"{picture}: {os_error_words(error)}; give the name of a picture that can be written") from None


def _read(file: Path) -> NtaExport | str:
    """What an export says, or why it is refused."""
    try:
        if file.is_dir():
            return f"{file.name or file}: is a folder; give the files in it, such as {file / '*.csv'}"
        return read_export(file)
    except NtaFileError as error:
        return str(error)
    except OSError as error:
        return f"{file.name}: {os_error_words(error)}; give the name of a file that can be read"


def _document(file: Path, export: NtaExport | str) -> dict[str, Any]:
    if isinstance(export, str):
        return {"file": str(file), "error": export}
    return {
        "file": str(file),
        "instrument": export.instrument,
        "software": export.software,
        "sample": export.sample,
        "captured_at": export.captured_at,
        "replicates": [_replicate(one) for one in export.replicates],
        "dilution": export.dilution,
        "concentration_measured": export.concentration_measured,
        "concentration_stock": export.concentration_stock,
        **asdict(export.sizes),
        "span": export.span,
        "fraction_below_200": export.fraction_below_200,
        "tracks": export.tracks,
        "warnings": list(export.warnings),
        "checks": [asdict(check) for check in export.checks],
    }


def _replicate(one: Replicate) -> dict[str, Any]:
    sizes = asdict(one.sizes) if one.sizes is not None else _NO_FIGURES
    told = {"name": one.name, "valid": one.valid, "reason": one.reason, "concentration": one.concentration}
    return {**told, **sizes, "tracks": one.tracks}


def _print(file: Path, export: NtaExport) -> None:
    sizes, share = export.sizes, export.fraction_below_200
    stock = export.concentration_stock
    say(f"{file}")
    print_table(["", ""], [
        ["Instrument", f"{export.instrument}, {export.software}"],
        ["Sample", export.sample or "not named"],
        ["Captured", export.captured_at or "not recorded"],
        ["Measured, in the cell", f"{export.concentration_measured:.2e} particles/mL"],
        ["Dilution", "not recorded" if export.dilution is None else f"{export.dilution:g}"],
        ["Stock", "not known without the dilution" if stock is None else f"{stock:.2e} particles/mL"],
        ["Mean, mode, SD", f"{sizes.mean:.1f}, {sizes.mode:.1f}, {sizes.sd:.1f} nm"],
        ["D10, D50, D90", f"{sizes.d10:.1f}, {sizes.d50:.1f}, {sizes.d90:.1f} nm"],
        ["Span", "-" if export.span is None else f"{export.span:.2f}"],
        ["Below 200 nm", "-" if share is None else f"{share:.1%}"],
        ["Replicates", f"{len(export.valid_replicates)} of {len(export.replicates)} are valid"],
        ["CV between them", "-" if export.cv is None else f"{export.cv:.1%}"],
        ["Valid tracks", str(export.tracks)],
        *([f"Warning{'' if i else ' of the instrument'}", words] for i, words in enumerate(export.warnings)),
        *([f"Check {check.name}", f"failed: {check.words}"] for check in export.checks if not check.passed),
    ])  # fmt: skip
    head = ["Replicate", "Particles/mL", "Mean", "Mode", "D50", "Tracks", ""]
    print_table(head, [_row(one) for one in export.replicates])
    say("")


def _row(one: Replicate) -> Sequence[str]:
    if not one.valid or one.concentration is None:
        return [one.name, "", "", "", "", "", f"failed: {one.reason}"]
    sizes = one.sizes
    figures = ["", "", ""] if sizes is None else [f"{size:.1f}" for size in (sizes.mean, sizes.mode, sizes.d50)]
    return [one.name, f"{one.concentration:.2e}", *figures, str(one.tracks), ""]
