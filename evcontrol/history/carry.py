"""Carrying a batch of lines to the server with influxdb-client, and what its answer means.

The library's own queue and retries stay unused: they drop data without a word while the server is away.
"""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

import urllib3.exceptions
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.service.write_service import WriteService

from evcontrol.clock import NS, Clock
from evcontrol.history.target import Target, TokenError

TAKEN_STATUS = 204
LONGEST_RETRY_AFTER_S = 3600.0
REASON_CHARACTERS = 300


class Verdict(Enum):
    """What became of a batch."""

    TAKEN = auto()
    AWAY = auto()
    """Nobody answered, or not now: the same again later."""
    REFUSED = auto()
    """Token, bucket or address are not right: a person has to change something."""
    WRONG = auto()
    """Something in the batch is not as it should be, or it is too large."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on a batch, why, and after how many real seconds the server wants to be asked again."""

    verdict: Verdict
    reason: str = ""
    retry_after_s: float | None = None


class Carrier:
    """A connection to one target; made when it is needed, with the token as it is then."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._client: InfluxDBClient | None = None

    def send(self, lines: Sequence[bytes]) -> Answer:
        """Write lines; waits for the answer, at most the target's time-out."""
        try:
            writing = WriteService(self._connected().api_client)  # type: ignore[no-untyped-call]
            _, status, _ = writing.post_write_with_http_info(  # type: ignore[no-untyped-call]
                org=self._target.org,
                bucket=self._target.bucket,
                body=b"\n".join(lines),
                precision="ns",
                content_type="text/plain; charset=utf-8",
            )
        except TokenError as error:
            return Answer(Verdict.REFUSED, str(error))
        except InfluxDBError as error:
            return self._judged(error)
        except urllib3.exceptions.HTTPError as error:
            self.close()
            return self._unreached(error)
        except (OSError, UnicodeError) as error:
            self.close()
            return Answer(Verdict.AWAY, f"{self._target.url} does not answer properly ({type(error).__name__})")
        if status != TAKEN_STATUS:
            return Answer(Verdict.REFUSED, f"{self._target.url} answers {status}: it is no InfluxDB write address")
        return Answer(Verdict.TAKEN)

    def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()  # type: ignore[no-untyped-call]

    def _connected(self) -> InfluxDBClient:
        if self._client is None:
            self._client = InfluxDBClient(
                url=self._target.url,
                token=self._target.token(),
                org=self._target.org,
                timeout=round(self._target.timeout_s * 1000),
                enable_gzip=True,
            )
        return self._client

    def _judged(self, error: InfluxDBError) -> Answer:
        status = int(getattr(error, "status", 0) or 0)
        said = self._cleaned(error.message)
        if status == 0:  # the library's form of a failed TLS handshake
            self.close()
            return Answer(Verdict.REFUSED, f"{self._target.url}: no secure connection ({self._cleaned(error)})")
        if status in (400, 413, 422) or "partial write" in said:
            return Answer(Verdict.WRONG, said)
        if status in (408, 425, 429) or status >= 500:
            return Answer(Verdict.AWAY, f"the server answers {status}: {said}", self._retry_after(error.retry_after))
        self.close()  # the next attempt reads the token anew
        what = {
            401: "the token is not known there",
            403: f"the token may not write into {self._target.bucket!r}",
            404: f"there is no bucket {self._target.bucket!r} of organisation {self._target.org!r} there",
        }.get(status, "it does not take this" if status >= 400 else "this is not the server's own address")
        return Answer(Verdict.REFUSED, f"{what} ({status}: {said})")

    def _unreached(self, error: urllib3.exceptions.HTTPError) -> Answer:
        if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            cause = error.__cause__ or error.__context__
            why = getattr(cause, "strerror", None) or "nobody answers"
            return Answer(Verdict.AWAY, f"{self._target.url} cannot be reached ({why})")
        if isinstance(error, urllib3.exceptions.TimeoutError):
            return Answer(Verdict.AWAY, f"{self._target.url} did not answer within {self._target.timeout_s:g} s")
        return Answer(Verdict.AWAY, f"{self._target.url} broke the connection off ({type(error).__name__})")

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds from a Retry-After header (RFC 9110, 10.2.3): a number or a date."""
        if value is None:
            return None
        if value.strip().isdigit():
            return min(float(value), LONGEST_RETRY_AFTER_S)
        with suppress(ValueError, TypeError, OverflowError):
            until = email.utils.parsedate_to_datetime(value).timestamp()
            return min(max(0.0, until - self._clock.wall() / NS), LONGEST_RETRY_AFTER_S)
        return None

    def _cleaned(self, what: object) -> str:
        """What the server said as one short line, without the token even if it was said."""
        text = " ".join(str(what).split())
        with suppress(TokenError):
            text = text.replace(self._target.token(), "***")
        return text[:REASON_CHARACTERS]
