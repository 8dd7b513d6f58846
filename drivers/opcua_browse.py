"""What a server has: its variables with their types, units, ranges and access, found by browsing from Objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from drivers.opcua_client import TcpOpcUaSession, all_of, parts
from drivers.opcua_messages import ATTRIBUTES, node_of, read_id, standard, value_of
from drivers.opcua_points import DataType, Place, notation
from drivers.opcua_session import Missing

_READ, _WRITE = 0x01, 0x02
"""Bits of an access level (OPC 10000-3, 8.57)."""
_KINDS: Final = ua.NodeClass.Object | ua.NodeClass.Variable
_WANTED: Final = (*ATTRIBUTES, AttributeIds.UserAccessLevel, AttributeIds.Description)
_PROPERTIES: Final = frozenset(
    {"EngineeringUnits", "EURange", "InstrumentRange", "EnumStrings", "TrueState", "FalseState"}
)
"""Of OPC 10000-8, 5.3, and 10000-5: what they say of a variable is told with it, and not as a variable."""
MOST_ROUNDS: Final = 1000
"""How often a server is asked for more below the same nodes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to look: levels below Objects, and variables in all."""

    depth: int = 10
    variables: int = 5000


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a server. ``node`` is in a point's notation, ``type`` None when no tag can have it: then why."""

    path: tuple[str, ...]
    namespace: str
    node: str
    type: DataType | None
    misfit: str
    readable: bool
    writable: bool
    description: str
    unit: str = ""
    """As the server shows it."""
    low: float | None = None
    high: float | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """What was found, in the server's order; ``cut`` tells, in words, what was not looked at."""

    namespaces: tuple[str, ...]
    variables: tuple[Variable, ...]
    cut: str


@dataclass(slots=True)
class _Place:
    """A node on the way."""

    key: ua.NodeId
    path: tuple[str, ...]
    is_variable: bool = False
    properties: dict[str, ua.NodeId] = field(default_factory=dict)


async def browse(session: TcpOpcUaSession, bounds: Bounds, max_nodes: int = 250, *, whole: bool = False) -> Tree:
    """Look through a server's Objects, and with ``whole`` through its own diagnostics too.

    Each node is looked at once, however many ways lead to it. Raises as the session's requests do.
    """
    await session.check()
    max_nodes = await _most_nodes(session, max_nodes)
    walk = _Walk(session, bounds, max_nodes, whole)
    places = [place async for place in walk.variables()]
    variables = [one async for one in _described(session, places, max_nodes)]
    return Tree(tuple(session.namespaces), tuple(variables), walk.cut)


class _Walk:
    def __init__(self, session: TcpOpcUaSession, bounds: Bounds, max_nodes: int, whole: bool) -> None:
        self._session = session
        self._bounds = bounds
        self._max_nodes = max_nodes
        self.cut = ""
        self._seen: set[tuple[int, object]] = {(0, int(ObjectIds.ObjectsFolder))}
        if not whole:
            self._seen.add((0, int(ObjectIds.Server)))

    async def variables(self) -> AsyncIterator[_Place]:
        """Level by level."""
        level = [_Place(standard(ObjectIds.ObjectsFolder), ())]
        found = 0
        for _ in range(self._bounds.depth):
            below: list[_Place] = []
            for part in parts(level, self._max_nodes):
                for parent, references in zip(part, await self._references(part), strict=True):
                    below += list(self._children(parent, references))
            for place in level:
                if place.is_variable:
                    if found == self._bounds.variables:
                        self.cut = f"more than {found} variables: the others are not looked at"
                        return
                    found += 1
                    yield place
            level = below
            if not level:
                return
        if level:
            self.cut = f"deeper than {self._bounds.depth} levels: {len(level)} nodes are not looked at"

    def _children(self, parent: _Place, references: Sequence[Any]) -> Iterator[_Place]:
        for reference in references:
            target = reference.NodeId
            if getattr(target, "ServerIndex", 0):
                continue  # it is another server's
            key = ua.NodeId(target.Identifier, target.NamespaceIndex, target.NodeIdType)
            name = reference.BrowseName.Name or ""
            if reference.BrowseName.NamespaceIndex == 0 and name in _PROPERTIES:
                parent.properties[name] = key
            elif (key.NamespaceIndex, key.Identifier) not in self._seen:
                self._seen.add((key.NamespaceIndex, key.Identifier))
                is_variable = reference.NodeClass == ua.NodeClass.Variable
                yield _Place(key, (*parent.path, name), is_variable)

    async def _references(self, places: Sequence[_Place]) -> list[list[Any]]:
        """What is below each, with what the server gives only when asked again (continuation points)."""
        request = ua.BrowseRequest()
        request.Parameters.RequestedMaxReferencesPerNode = 1000
        request.Parameters.NodesToBrowse = [_description(place.key) for place in places]
        results = all_of((await self._session.ask(request, ua.BrowseResponse)).Results, len(places))
        found = [list(result.References or []) for result in results]
        left = [(i, result.ContinuationPoint) for i, result in enumerate(results) if result.ContinuationPoint]
        for _ in range(MOST_ROUNDS):
            if not left:
                return found
            again = ua.BrowseNextRequest()
            again.Parameters.ReleaseContinuationPoints = False
            again.Parameters.ContinuationPoints = [point for _, point in left]
            more = all_of((await self._session.ask(again, ua.BrowseNextResponse)).Results, len(left))
            for (i, _), result in zip(left, more, strict=True):
                found[i] += result.References or []
            left = [(i, result.ContinuationPoint) for (i, _), result in zip(left, more, strict=True)]
            left = [(i, point) for i, point in left if point]
        self.cut = f"{len(left)} nodes have too many others below them: not all are looked at"
        return found


async def _most_nodes(session: TcpOpcUaSession, most: int) -> int:
    """How many nodes a request may name at the most: what the server allows, when it says (OPC 10000-5, 6.3.11)."""
    limits = (
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    )
    told = [value_of(answer) for answer in await session.attributes([read_id(standard(limit)) for limit in limits])]
    return min([most, *(limit for limit in told if isinstance(limit, int) and limit > 0)])


async def _described(session: TcpOpcUaSession, places: Sequence[_Place], max_nodes: int) -> AsyncIterator[Variable]:
    for part in parts(places, max(1, max_nodes // (len(_WANTED) + len(_PROPERTIES)))):
        ids = [read_id(place.key, attribute) for place in part for attribute in _WANTED]
        extras = [(place.key, name, key) for place in part for name, key in place.properties.items()]
        answers = await session.attributes(ids + [read_id(key) for _, _, key in extras])
        told: dict[tuple[ua.NodeId, str], Any] = {
            (owner, name): value_of(answer)
            for (owner, name, _), answer in zip(extras, answers[len(ids) :], strict=True)
        }
        for place, of_one in zip(part, parts(answers[: len(ids)], len(_WANTED)), strict=True):
            properties = {name: told.get((place.key, name)) for name in _PROPERTIES}
            yield _variable(session, place, of_one, properties)


def _variable(session: TcpOpcUaSession, place: _Place, answers: Sequence[ua.DataValue], told: Any) -> Variable:
    identifier = notation(place.key.NodeIdType.name, place.key.Identifier)
    node = node_of(place.key, Place(identifier), answers[: len(ATTRIBUTES)])
    access, description = answers[len(ATTRIBUTES) :]
    bits = value_of(access, 0)
    bits = bits if isinstance(bits, int) else 0
    index = place.key.NamespaceIndex
    low, high = _range(told["EURange"] or told["InstrumentRange"])
    return Variable(
        path=place.path,
        namespace=session.namespaces[index] if index < len(session.namespaces) else "",
        node=identifier,
        type=None if isinstance(node, Missing) else node.type,
        misfit=node.reason if isinstance(node, Missing) else "",
        readable=bool(bits & _READ),
        writable=bool(bits & _WRITE),
        description=_text(value_of(description)),
        unit=_text(getattr(told["EngineeringUnits"], "DisplayName", None)),
        low=low,
        high=high,
        labels=_labels(told),
    )


def _range(told: Any) -> tuple[float | None, float | None]:
    low, high = getattr(told, "Low", None), getattr(told, "High", None)
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not low < high:
        return None, None
    return float(low), float(high)


def _labels(told: Any) -> tuple[str, ...]:
    if isinstance(told["EnumStrings"], list):
        return tuple(_text(one) for one in told["EnumStrings"])
    states = (_text(told["FalseState"]), _text(told["TrueState"]))
    return states if all(states) else ()


def _text(told: Any) -> str:
    text = getattr(told, "Text", told)
    return " ".join(text.split()) if isinstance(text, str) else ""


def _description(key: ua.NodeId) -> ua.BrowseDescription:
    description = ua.BrowseDescription()
    description.NodeId = key
    description.BrowseDirection = ua.BrowseDirection.Forward
    description.ReferenceTypeId = standard(ObjectIds.HierarchicalReferences)
    description.IncludeSubtypes = True
    description.NodeClassMask = ua.UInt32(_KINDS)
    description.ResultMask = ua.UInt32(ua.BrowseResultMask.All)
    return description
