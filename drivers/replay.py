"""An instrument that answers as a recorded one did, byte by byte, for tests."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

from drivers.capture import Event, Piece, read_capture
from drivers.connection import LinkLostError
from drivers.framing import Framing
from drivers.line import MAX_TELEGRAM, Skip, Wanted, skip_none


class ReplayMismatchError(Exception):
    """What is asked is not what was asked when the recording was made."""


class Replay:
    """A ``connect`` for drivers of serial instruments: each connection is the recording's next session."""

    def __init__(self, path: Path) -> None:
        """Raises ``CaptureError`` for a file that is no recording, OSError when it cannot be read."""
        self._sessions = deque(read_capture(path))
        self._line: ReplayLine | None = None

    @property
    def finished(self) -> bool:
        """Whether everything that was sent in the recording has been sent again."""
        return not self._sessions and (self._line is None or self._line.finished)

    async def __call__(self, _options: object) -> ReplayLine:
        """Open the next session; LinkLostError when there is none left."""
        if not self._sessions:
            raise LinkLostError("the recording has ended")
        self._line = ReplayLine(self._sessions.popleft())
        return self._line


def replay(path: Path) -> Replay:
    """A ``connect`` that answers from a recording; see :class:`Replay`."""
    return Replay(path)


class ReplayLine:
    """One session. Pieces come without the pauses that they had; where none came any more, there is silence.

    See :class:`drivers.transport.Line`.
    """

    def __init__(self, pieces: list[Piece]) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.unasked = 0
        self._pieces = deque(pieces)

    @property
    def finished(self) -> bool:
        """Whether everything that was sent has been sent again."""
        return not any(piece.event is Event.SENT for piece in self._pieces)

    async def request(
        self, data: bytes, framing: Framing, skip: Skip = skip_none, longest: int = MAX_TELEGRAM
    ) -> bytes:
        """Answer as recorded; :class:`ReplayMismatchError` when these bytes are not the recorded ones."""
        self._send(data)
        wanted, received = Wanted(framing, skip, longest), bytearray()
        while self._pieces and self._pieces[0].event is Event.RECEIVED:
            received += self._pieces.popleft().data
            answer = wanted.take(received)
            if answer is not None:
                return answer
        if self._pieces and self._pieces[0].event is Event.LOST:
            self._lose(self._pieces.popleft().words)
        silence: bytes = await asyncio.get_running_loop().create_future()
        return silence

    async def send(self, data: bytes) -> None:
        """See :meth:`request`."""
        self._send(data)

    async def close(self) -> None:
        """Nothing to close."""

    def _send(self, data: bytes) -> None:
        self.unasked = 0
        while self._pieces and self._pieces[0].event is Event.RECEIVED:
            self.unasked += len(self._pieces.popleft().data)
        piece = self._pieces.popleft() if self._pieces else Piece(0.0, Event.CLOSE)
        if piece.event is Event.LOST:
            self._lose(piece.words)
        if piece.event is not Event.SENT:
            raise ReplayMismatchError(f"{data!r} is sent, and the recorded session ends here")
        if piece.data != data:
            raise ReplayMismatchError(f"{data!r} is sent, where {piece.data!r} was recorded (at {piece.t:g} s)")

    def _lose(self, words: str) -> None:
        if not self.lost.done():
            self.lost.set_result(words)
        raise LinkLostError(words)
