"""The stream: everything as it is now, then every change, until client or engine goes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from evcontrol.api.desk import Desk
from evcontrol.api.guard import TheDesk, bearer, may_read
from evcontrol.api.stream import BEAT_S, Subscriber, encode_beat

router = APIRouter()
POLICY_VIOLATION = 1008


@router.websocket("/api/stream")
async def stream(socket: WebSocket, desk: TheDesk) -> None:
    """Send the stream to whoever may read; it ends with the session that was signed off or disabled."""
    token = bearer(socket)
    if not may_read(desk, token):
        await socket.close(POLICY_VIOLATION)
        return
    await socket.accept()
    with desk.watch(desk.session(token)) as over, desk.hub.subscribe() as subscriber:
        tasks = [
            asyncio.create_task(_send(socket, subscriber, desk), name="stream"),
            asyncio.create_task(_until_gone(socket), name="client gone"),
            asyncio.create_task(over.wait(), name="session over"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if over.is_set():
        await socket.close(POLICY_VIOLATION, "the session has ended")


async def _send(socket: WebSocket, subscriber: Subscriber, desk: Desk) -> None:
    while True:
        try:
            async with asyncio.timeout(BEAT_S):
                messages = await subscriber.take()
        except TimeoutError:
            messages = [encode_beat(desk.engine.clock.now())]
        for message in messages:
            await socket.send_bytes(message)


async def _until_gone(socket: WebSocket) -> None:
    """Read until the client closes; it has nothing to say."""
    while True:
        try:
            await socket.receive_bytes()
        except (WebSocketDisconnect, KeyError):  # KeyError: it sent text
            return
