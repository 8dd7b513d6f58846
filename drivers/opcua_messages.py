"""The messages of OPC UA as the session uses them: requests built with asyncua's types, answers taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes, get_name_and_doc

from drivers.opcua_points import DataType, Place, identifier_of
from drivers.opcua_session import TYPES, Missing, Node, Sample, Terms

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2262, 1, 1, tzinfo=UTC)
"""Time stamps before the one and after the other are no times: 1601 and 9999 stand for none, and readings carry
nanoseconds in 64 bits (OPC 10000-6, 5.2.2.5)."""
_MICROSECOND: Final = timedelta(microseconds=1)
CODES: Final = StatusCodes
IDENTITY_REFUSED: Final = frozenset(
    {
        CODES.BadUserAccessDenied,
        CODES.BadIdentityTokenInvalid,
        CODES.BadIdentityTokenRejected,
        CODES.BadUserSignatureInvalid,
        CODES.BadSecurityChecksFailed,
        CODES.BadApplicationSignatureInvalid,
        CODES.BadCertificateInvalid,
        CODES.BadCertificateTimeInvalid,
        CODES.BadCertificateHostNameInvalid,
        CODES.BadCertificateUriInvalid,
        CODES.BadCertificateUseNotAllowed,
        CODES.BadCertificateUntrusted,
        CODES.BadCertificateRevoked,
        CODES.BadCertificateIssuerTimeInvalid,
        CODES.BadCertificateIssuerUseNotAllowed,
        CODES.BadCertificateIssuerRevoked,
        CODES.BadCertificateChainIncomplete,
        CODES.BadCertificatePolicyCheckFailed,
        CODES.BadNoValidCertificates,
    }
)
"""Answers to a connect by which the server does not accept who we are."""
NO_WAY_IN: Final = frozenset(
    {
        CODES.BadSecurityPolicyRejected,
        CODES.BadSecurityModeRejected,
        CODES.BadSecurityModeInsufficient,
        CODES.BadTcpEndpointUrlInvalid,
        CODES.BadServerUriInvalid,
    }
)
"""Other answers to a connect that are the same the next time unless somebody changes something."""
SESSION_GONE: Final = frozenset(
    {
        CODES.BadSessionIdInvalid,
        CODES.BadSessionClosed,
        CODES.BadSessionNotActivated,
        CODES.BadSecureChannelIdInvalid,
        CODES.BadSecureChannelClosed,
        CODES.BadSubscriptionIdInvalid,
        CODES.BadNoSubscription,
        CODES.BadServerHalted,
        CODES.BadShutdown,
        CODES.BadConnectionClosed,
    }
)
"""Answers after which nothing can be asked of this session any more."""
ATTRIBUTES: Final = (AttributeIds.DataType, AttributeIds.ValueRank, AttributeIds.Value)
"""What :func:`node_of` wants to know."""
_DATA_TYPES: Final = {getattr(ObjectIds, name): kind for name, kind in TYPES.items()} | {
    ObjectIds.Duration: DataType.DOUBLE,
    ObjectIds.Enumeration: DataType.INT32,
}
"""By the identifier of the data type's node; for variables that have no value yet."""


def status_name(code: int) -> str:
    """The name of a status code, such as ``BadNotWritable``; of one that OPC UA does not know, its number."""
    name: str = get_name_and_doc(code & 0xFFFF_0000)[0]
    return name if name not in ("Bad", "Uncertain", "Good") or not code & 0x3FFF_0000 else f"0x{code:08X}"


# -- requests ----------------------------------------------------------------------------------------------------------


def standard(identifier: int) -> ua.NodeId:
    """A node of OPC UA's own namespace."""
    return ua.NodeId(ua.Int32(identifier))


def node_id(node: str, namespace: int) -> ua.NodeId:
    """A node by its identifier, as points and options have it."""
    kind, identifier = identifier_of(node)
    if kind == "s":  # not through asyncua's parser, which would take a text apart at its separators
        return ua.NodeId(ua.String(identifier), ua.Int16(namespace))
    return ua.NodeId.from_string(f"ns={namespace};{node}")


def browse_path(names: Sequence[str], namespace: int) -> ua.BrowsePath:
    """From the Objects folder along references of any hierarchy."""
    path = ua.BrowsePath(StartingNode=standard(ObjectIds.ObjectsFolder))
    for name in names:
        step = ua.RelativePathElement(
            ReferenceTypeId=standard(ObjectIds.HierarchicalReferences),
            IsInverse=False,  # type: ignore[arg-type]
            IncludeSubtypes=True,  # type: ignore[arg-type]
            TargetName=ua.QualifiedName(name, namespace),
        )
        path.RelativePath.Elements.append(step)
    return path


def read_id(node: Any, attribute: AttributeIds = AttributeIds.Value) -> ua.ReadValueId:
    """An attribute of a node, to be read."""
    return ua.ReadValueId(NodeId=node, AttributeId=attribute)


def write_value(node: Node, value: object) -> ua.WriteValue:
    """A value to be written: without status and time stamps, which many servers refuse (Bad_WriteNotSupported)."""
    data = ua.DataValue(ua.Variant(value, ua.VariantType[node.type]), StatusCode=None)
    return ua.WriteValue(NodeId=node.key, AttributeId=AttributeIds.Value, Value=data)


def monitored(handle: int, node: Node, terms: Terms) -> ua.MonitoredItemCreateRequest:
    """A variable to be reported under a number; of a queue that is full the oldest goes."""
    item = ua.MonitoredItemCreateRequest(ItemToMonitor=read_id(node.key), MonitoringMode=ua.MonitoringMode.Reporting)
    item.RequestedParameters.ClientHandle = handle
    item.RequestedParameters.SamplingInterval = terms.sampling_s * 1000
    item.RequestedParameters.QueueSize = terms.queue_size
    if terms.every_sample:
        item.RequestedParameters.Filter = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    return item


# -- answers -----------------------------------------------------------------------------------------------------------


def target_of(names: Sequence[str], result: ua.BrowsePathResult) -> ua.NodeId | Missing:
    """Where a path leads."""
    path = "/".join(names)
    targets = result.Targets or []
    if not result.StatusCode.is_good() or not targets:
        return Missing(f"there is no node {path} ({result.StatusCode.name})")
    if len(targets) > 1:
        return Missing(f"there are {len(targets)} nodes {path}")
    target = targets[0].TargetId
    return ua.NodeId(target.Identifier, target.NamespaceIndex, target.NodeIdType)


def node_of(key: ua.NodeId, place: Place, attributes: Sequence[ua.DataValue]) -> Node | Missing:
    """The variable, by what it answered to :data:`ATTRIBUTES`."""
    declared, rank, value = attributes
    for answer in (declared, rank):
        if answer.StatusCode is not None and not answer.StatusCode.is_good():
            name = answer.StatusCode.name
            return Missing(f"there is no node {place} ({name})" if name.startswith("BadNodeId") else f"{place}: {name}")
    dimensions = value_of(rank, -1)
    if (value.Value is not None and value.Value.is_array) or (isinstance(dimensions, int) and dimensions >= 0):
        return Missing(f"{place} is an array")
    # The value knows best: a declared type can be abstract, or derived from the one that is sent.
    if value.Value is not None and value.Value.Value is not None:
        name = value.Value.VariantType.name
        kind = TYPES.get(name)
    else:
        name, node = "that it declares", value_of(declared, ua.NodeId())
        standardised = isinstance(node, ua.NodeId) and node.NamespaceIndex == 0
        kind = _DATA_TYPES.get(node.Identifier) if standardised else None
    return Node(key, kind) if kind is not None else Missing(f"{place}: no tag has the type {name}")


def value_of(data: ua.DataValue, default: Any = None) -> Any:
    """What a data value holds; ``default`` for null."""
    return default if data.Value is None or data.Value.Value is None else data.Value.Value


def samples_of(notification: ua.DataChangeNotification) -> Iterator[tuple[int, Sample]]:
    """What was reported, by number."""
    for item in notification.MonitoredItems or []:
        yield item.ClientHandle, sample_of(item.Value)


def sample_of(value: Any) -> Sample:
    """A data value; of its time stamps the source's, and the server's when there is none."""
    variant, status = value.Value, value.StatusCode
    source = value.SourceTimestamp or value.ServerTimestamp
    return Sample(
        None if variant is None else variant.Value,
        0 if status is None else status.value,
        None if source is None or not _EPOCH <= source < _LAST else (source - _EPOCH) // _MICROSECOND * 1000,
    )
