"""Devices and tags of a plant file from what an OPC UA server has; every number that is a guess is marked as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from drivers.opcua_browse import Tree, Variable
from drivers.opcua_points import FLOATS, INTEGERS, DataType
from evcontrol.units import UnitError, parse
from evcontrol.units.table import HABITS

_SIGNS: Final = {"µ": "u", "μ": "u", "·": ".", "\N{SUPERSCRIPT TWO}": "2", "\N{SUPERSCRIPT THREE}": "3", "ºC": "degC"}
_HEAD: Final = """\
# What {url} has, for a plant file: take the tags that are needed, and compare every unit and range with the instrument.
# All points are read only; one that is to be written needs `writable: true` and a `write`.
"""


def fragment(tree: Tree, device: str, url: str, options: Mapping[str, Any]) -> str:
    """The sections ``devices`` and ``tags``; variables that no tag can have are told as comments."""
    usable = [one for one in tree.variables if one.type is not None and one.readable]
    namespace = Counter(one.namespace for one in usable).most_common(1)
    uri = namespace[0][0] if namespace else ""
    lines = [_HEAD.format(url=url), "devices:", f"  {device}:", "    driver: opc-ua", "    options:"]
    lines += _mapping({"url": url, "namespace": uri, **options}, 6)
    lines += ["", "tags:" if usable else "tags: {}"]
    names: Counter[str] = Counter()
    for variable in usable:
        lines += _tag(variable, device, uri, _name(variable, device, names))
    for variable in tree.variables:
        if variable not in usable:
            why = variable.misfit or "not readable"
            lines.append(f"  # {_plain('/'.join(variable.path))}: {_plain(why)}")
    return "\n".join(lines) + "\n"


def _tag(variable: Variable, device: str, uri: str, name: str) -> Iterator[str]:
    point = {"node": variable.node} | ({} if variable.namespace == uri else {"namespace": variable.namespace})
    yield f"  {name}:" + ("  # the server lets it be written" if variable.writable else "")
    yield f"    device: {device}"
    yield f"    point: {{{', '.join(f'{key}: {_quoted(value)}' for key, value in point.items())}}}"
    yield from (f"    {line}" for line in _meaning(variable))
    if variable.description:
        yield f"    description: {_quoted(variable.description)}"


def _meaning(variable: Variable) -> Iterator[str]:
    """Kind, unit and range."""
    if variable.type is DataType.BOOLEAN:
        yield "kind: discrete"
        if len(variable.labels) == 2:
            yield f"labels: {_list(variable.labels)}"
    elif variable.type is DataType.STRING:
        yield "kind: text"
    elif variable.labels and len(set(variable.labels)) == len(variable.labels):
        yield "kind: enum"
        yield f"labels: {_list(variable.labels)}"
    else:
        if variable.type not in FLOATS:
            yield "kind: integer"
        yield from _unit(variable.unit)
        yield from _range(variable)


def _unit(shown: str) -> Iterator[str]:
    if not shown:
        return
    text = shown
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    text = HABITS.get(text.lower(), text)
    try:
        parse(text)
    except UnitError:
        yield f'unit: ""  # the server says {_plain(shown)!r}: which unit of ours is that?'
    else:
        yield f"unit: {_quoted(text)}"


def _range(variable: Variable) -> Iterator[str]:
    if variable.low is not None and variable.high is not None:
        yield f"low: {_number(variable.low)}"
        yield f"high: {_number(variable.high)}"
        return
    integer = INTEGERS.get(variable.type) if variable.type is not None else None
    low, high = integer or (0, 100)
    yield f"low: {low}" + ("" if integer else "  # a guess: the server does not tell the range")
    yield f"high: {high}" + ("" if integer else "  # a guess")


def _name(variable: Variable, device: str, names: Counter[str]) -> str:
    """UNIT.SIGNAL from the path, in letters, digits and underscores, each once."""
    words = [re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") for part in variable.path]
    unit = re.sub(r"[^A-Za-z0-9_]+", "_", device)
    words = [word for word in words if word]
    if words and words[0] == unit and len(words) > 1:
        words = words[1:]
    name = f"{unit}.{'_'.join(words) or 'VALUE'}"
    names[name] += 1
    return name if names[name] == 1 else f"{name}_{names[name]}"


def _mapping(data: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield f"{' ' * indent}{key}:"
            yield from _mapping(value, indent + 2)
        else:
            shown = str(value).lower() if isinstance(value, bool) else _quoted(str(value))
            yield f"{' ' * indent}{key}: {shown}"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _list(words: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(word) for word in words)}]"


def _quoted(text: str) -> str:
    """A YAML scalar that is a text whatever it looks like."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./=-]*", text) and text.lower() not in _WORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
"""What some YAML readers do not take for texts."""
