"""Modbus requests, and what the answer to each has to look like (Modbus Application Protocol V1.1b3, 6).

pymodbus makes the telegrams. It does not read the answers: it takes those with transaction id 0, other function codes
and wrong lengths for good, and spends twice the time that the whole exchange takes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteMultipleCoilsRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
)

from drivers.modbus_points import BIT_TABLES, Table

EXCEPTION: Final = 0x80
EXCEPTION_SIZE: Final = 2
"""Bytes of an exception response without header: function code with this bit set, and exception code."""

_READS: Final[dict[Table, type[ModbusPDU]]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}


class ModbusRefusedError(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one unit; ``pdu`` is the telegram without the header of its carrier."""

    unit: int
    table: Table
    address: int
    count: int
    values: tuple[int, ...] | None
    """What is written; None reads."""
    pdu: bytes
    answer_size: int
    """Bytes of a good answer's PDU."""
    echo: bytes
    """What the PDU of a good answer begins with."""

    @classmethod
    def reading(cls, unit: int, table: Table, address: int, count: int) -> Request:
        """Read registers, coils or discrete inputs (functions 1 to 4)."""
        message = _READS[table](dev_id=unit, address=address, count=count)
        size = (count + 7) // 8 if table in BIT_TABLES else 2 * count
        echo = bytes((message.function_code, size))
        return cls(unit, table, address, count, None, _encoded(message), 2 + size, echo)

    @classmethod
    def writing(cls, unit: int, table: Table, address: int, values: Sequence[int]) -> Request:
        """Write holding registers (function 16) or coils (15)."""
        message: ModbusPDU
        if table is Table.COIL:
            message = WriteMultipleCoilsRequest(dev_id=unit, address=address, bits=[bool(each) for each in values])
        else:
            message = WriteMultipleRegistersRequest(dev_id=unit, address=address, registers=list(values))
        pdu = _encoded(message)
        return cls(unit, table, address, len(values), tuple(values), pdu, 5, pdu[:5])

    @property
    def function(self) -> int:
        """Its function code."""
        return self.pdu[0]

    @property
    def data_size(self) -> int:
        """Bytes of data in the answer to a read."""
        return self.answer_size - len(self.echo)

    def differs_from(self, other: Request) -> bool:
        """Whether a good answer to it cannot be one to the other, by its function and length."""
        return (self.function, self.answer_size) != (other.function, other.answer_size)

    def fault(self, pdu: bytes) -> str:
        """Why ``pdu`` cannot be the answer or its beginning; empty when it can."""
        if not pdu:
            return ""
        if pdu[0] == self.function | EXCEPTION:
            return "" if len(pdu) <= EXCEPTION_SIZE else f"length {len(pdu)} of an exception"
        if pdu[0] != self.function:
            return f"function {pdu[0]} instead of {self.function}"
        if not pdu.startswith(self.echo[: len(pdu)]):
            return "it does not fit the request"
        return "" if len(pdu) <= self.answer_size else f"length {len(pdu)}"

    def size_of(self, first: int) -> int:
        """Bytes of the answer's PDU that begins with the byte ``first``."""
        return EXCEPTION_SIZE if first & EXCEPTION else self.answer_size

    def data_of(self, pdu: bytes) -> bytes:
        """The data of a whole answer without fault, empty for a write; :class:`ModbusRefusedError` for an exception."""
        if pdu[0] & EXCEPTION:
            raise ModbusRefusedError(pdu[1])
        return pdu[2:] if self.values is None else b""


def _encoded(message: ModbusPDU) -> bytes:
    return bytes((message.function_code,)) + message.encode()
