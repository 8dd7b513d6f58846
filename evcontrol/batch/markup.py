"""HTML for records: everything that comes from outside is escaped here, and only here is markup written."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

NOTHING: Final = "-"

STYLE: Final = """
:root { color-scheme: light; }
body { font: 10pt/1.4 "DejaVu Sans", "Helvetica Neue", Arial, sans-serif; color: #1b1f24; background: #fff;
       max-width: 190mm; margin: 8mm auto; padding: 0 4mm; }
h1 { font-size: 17pt; margin: 0 0 2mm; }
h2 { font-size: 12.5pt; margin: 8mm 0 2mm; border-bottom: 1.5px solid #1b1f24; }
h3 { font-size: 10.5pt; margin: 4mm 0 1mm; }
p { margin: 1mm 0; } p.note { color: #57606a; }
table { border-collapse: collapse; width: 100%; margin: 1mm 0 3mm; }
th, td { text-align: left; vertical-align: top; padding: 0.6mm 2mm; border-bottom: 0.5px solid #c9d1d9;
         overflow-wrap: break-word; }
th { background: #f1f3f5; font-weight: 600; } td.number { white-space: nowrap; }
table.facts th { width: 48mm; }
tr.changed td, tr.warn td { background: #fff4d6; } tr.bad td { background: #ffe1de; }
.verdict { display: inline-block; padding: 0 2mm; border: 1.5px solid; font-weight: 700; }
.good { color: #116329; } .warn { color: #7d4e00; } .bad { color: #a40e26; }
code, pre { font: 8.5pt/1.35 "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere;
            white-space: pre-wrap; }
pre { border: 0.5px solid #c9d1d9; padding: 2mm; }
svg { width: 100%; height: auto; display: block; break-inside: avoid; } figure { margin: 2mm 0; break-inside: avoid; }
.mark { position: fixed; top: 0; right: 0; writing-mode: vertical-rl; color: #7d4e00; font-weight: 700; }
body:has(.mark) { padding-right: 8mm !important; }
.banner { border: 2px solid #7d4e00; color: #7d4e00; padding: 1mm 3mm; font-weight: 700; margin: 2mm 0; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9pt; } h2 { break-after: avoid; }
               tr { break-inside: avoid; } thead { display: table-header-group; } }
@page { size: A4; margin: 14mm; }
"""


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def show(value: Any) -> Markup:
    """Anything as HTML: markup as it is, all else escaped; an empty value as a dash."""
    if isinstance(value, Markup):
        return value
    if value is None or value == "":
        return Markup(NOTHING)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, float):
        return Markup(f"{value:.10g}")
    return Markup(html.escape(str(value)))


def join(parts: Iterable[Any], between: str = "") -> Markup:
    """Several things one after the other."""
    return Markup(between.join(show(part) for part in parts))


def element(name: str, content: Any, css: str = "") -> Markup:
    """One element; ``name`` and ``css`` are the program's own words."""
    attribute = f' class="{css}"' if css else ""
    return Markup(f"<{name}{attribute}>{show(content)}</{name}>")


def paragraph(content: Any, css: str = "") -> Markup:
    """A paragraph."""
    return element("p", content, css)


def verdict(words: str, css: str) -> Markup:
    """A verdict in a frame: ``good``, ``warn`` or ``bad``."""
    return element("span", words, f"verdict {css}")


def facts(rows: Iterable[tuple[str, Any]]) -> Markup:
    """A table of names and values."""
    body = join(Markup(f"<tr>{element('th', name)}{element('td', value)}</tr>") for name, value in rows)
    return element("table", body, "facts")


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], css: Iterable[str] | None = None, none: str = ""
) -> Markup:
    """A table; ``css`` gives a class for each row, ``none`` what stands there when it has no rows."""
    listed = list(rows)
    if not listed:
        return paragraph(none or "None.", "note")
    classes = list(css) if css is not None else [""] * len(listed)
    top = join(element("th", name) for name in head)
    body = join(
        element("tr", join(_cell(cell) for cell in row), name) for row, name in zip(listed, classes, strict=True)
    )
    return Markup(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")


def section(title: str, *content: Markup) -> Markup:
    """A section of the page."""
    return Markup(f"<section>{element('h2', title)}{''.join(content)}</section>\n")


def page(title: str, content: Markup) -> str:
    """A whole page that needs nothing but itself, and may load nothing else."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"{element('title', title)}\n<style>{STYLE}</style>\n</head>\n<body>\n{content}</body>\n</html>\n"
    )


def _cell(value: Any) -> Markup:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return element("td", value, "number" if number else "")
