"""What comes of a subscription: notifications in their order, the gaps between them, and silence."""

from __future__ import annotations

import asyncio
from typing import Final

from asyncua import ua

from drivers.connection import LinkLostError
from drivers.opcua_channel import Channel
from drivers.opcua_messages import CODES, samples_of, status_name
from drivers.opcua_session import Listener, OpcUaRefusedError

PUBLISH_REQUESTS: Final = 3
"""Under way at once, so that the server never waits for one."""


class Subscription:
    """Asks for the notifications of a subscription that the server has granted, for as long as the channel lives."""

    def __init__(self, channel: Channel, subscription_id: int, listener: Listener) -> None:
        self.id = subscription_id
        self._channel = channel
        self._heard = asyncio.get_running_loop().time()
        self._requests = PUBLISH_REQUESTS
        self._listener = listener
        self._next: int | None = None
        self._acknowledgements: list[ua.SubscriptionAcknowledgement] = []

    def start(self, silence_s: float) -> None:
        """Begin asking; after so many real seconds without any report the channel is lost."""
        for _ in range(PUBLISH_REQUESTS):
            self._channel.add(self._publish(), "publish")
        self._channel.add(self._watch(silence_s), "publish watch")

    async def _publish(self) -> None:
        """Ask for notifications and hand them on, one after the other.

        Several of these run at once. Each goes on in the loop's order, which is that of the answers, and nothing is
        awaited between an answer and the end of its handling: so none overtakes another.
        """
        while not self._channel.lost.done():
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements, self._acknowledgements = self._acknowledgements, []
            try:
                response = await self._channel.answer(request, ua.PublishResponse)
            except OpcUaRefusedError as refused:
                if refused.code == CODES.BadTimeout:
                    continue
                if refused.code == CODES.BadTooManyPublishRequests and self._requests > 1:
                    self._requests -= 1
                    return
                self._channel.fail(f"the server has ended the subscription ({status_name(refused.code)})")
                return
            except LinkLostError as error:
                self._channel.fail(str(error))
                return
            if ended := self._take(response.Parameters):
                self._channel.fail(ended)

    async def _watch(self, silence_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._heard + silence_s - loop.time())
            for _ in range(3):  # what has come while this process was busy is handled first
                await asyncio.sleep(0)
            if loop.time() - self._heard >= silence_s:
                self._channel.fail(f"the server has reported nothing for {silence_s:g} s")
                return

    def _take(self, result: ua.PublishResult) -> str:
        """Hand on what the server reports; why the subscription is at its end, if it is."""
        if result.SubscriptionId != self.id:
            return ""
        self._heard = asyncio.get_running_loop().time()
        message = result.NotificationMessage
        number, data = message.SequenceNumber, message.NotificationData or []
        gap = self._next is not None and number != self._next
        # A keep-alive tells the number of the next notification; numbers go from 1 to 2^32 - 1 and round again.
        self._next = number if not data else number % 0xFFFF_FFFF + 1
        if data:
            acknowledgement = ua.SubscriptionAcknowledgement()
            acknowledgement.SubscriptionId, acknowledgement.SequenceNumber = self.id, number
            self._acknowledgements.append(acknowledgement)
        for notification in data:
            if isinstance(notification, ua.DataChangeNotification):
                self._listener.on_samples(samples_of(notification))
            elif isinstance(notification, ua.StatusChangeNotification):
                return f"the server has ended the subscription ({notification.Status.name})"
        if gap:
            self._listener.on_gap()
        return ""
