"""Stream and history over a real socket."""

import asyncio
import math
from pathlib import Path

import pytest

from evcontrol.api.client import ApiError, EngineGoneError
from evcontrol.api.schema import BatchEvent, Beat, Delta, PromptsEvent, StartBatch, StatusEvent, Topic, UnitsEvent
from evcontrol.clock import NS
from tests.api.served import Served, recipe_text, serve


def test_the_stream_begins_with_everything_and_goes_on_with_each_scan(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.client() as client:
            stream = client.stream()
            topics, deltas = set(), 0
            async for message in stream:
                if isinstance(message, Delta):
                    assert deltas or len(message.i) == len(served.plant.tags)
                    deltas += 1
                    if deltas == 4:
                        break
                else:
                    topics.add(message.topic)
            await stream.aclose()
        assert topics == set(Topic) - {Topic.BATCH}

    serve(tmp_path, work)


def test_a_change_reaches_every_client(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client, served.client() as watcher:
            stream = watcher.stream()
            assert isinstance(await anext(stream), StatusEvent)
            await client.change_mode("TFF201", "manual", "a test")
            async for message in stream:
                if isinstance(message, UnitsEvent) and message.body[0].mode == "manual":
                    break
            await client.change_mode("TFF201", "automatic", "a test")
            body = StartBatch(recipe=recipe_text(), recipe_name="uf.yaml", purpose="a test")
            await client.start_batch(body)
            seen: set[str] = set()
            async for message in stream:
                if isinstance(message, BatchEvent):
                    seen.add(message.key)
                if isinstance(message, PromptsEvent) and message.body:
                    seen.add(message.body[0].path)
                if len(seen) == 2:
                    break
            assert "B-0001" in seen
            await stream.aclose()

    serve(tmp_path, work)


def test_between_two_scans_beats_tell_that_the_engine_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evcontrol.api.routes.stream.BEAT_S", 0.002)

    async def work(served: Served) -> None:
        async with served.client() as client:
            stream = client.stream_with_beats()
            beats: list[int] = []
            async for message in stream:
                if isinstance(message, Beat):
                    beats.append(message.beat)
                    if len(beats) == 3:
                        break
            await stream.aclose()
            assert beats == sorted(beats)
            assert abs(beats[-1] - served.clock.now()) < 10 * NS
            plain = client.stream()
            for _ in range(20):
                assert not isinstance(await anext(plain), Beat)
            await plain.aclose()

    serve(tmp_path, work)


def test_nobody_gets_the_stream_without_a_token(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        for token in ("", "wrong"):
            async with served.client(token) as client:
                with pytest.raises(EngineGoneError):
                    await anext(client.stream())

    serve(tmp_path, work)


def test_signing_off_ends_the_stream(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async with served.signed_on() as client:
            stream = client.stream()
            await anext(stream)
            await client.sign_off()
            with pytest.raises(EngineGoneError):
                async for _ in stream:
                    pass

    serve(tmp_path, work)


def test_a_fault_in_a_topic_leaves_the_engine_alone_and_the_stream_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evcontrol.api.desk.RETRY_S", 0.05)
    monkeypatch.setattr("evcontrol.api.stream.TOPICS_EVERY_S", 0.0)

    async def work(served: Served) -> None:
        async with served.client() as client:
            stream = client.stream()
            await anext(stream)

            def broken() -> None:
                monkeypatch.undo()
                raise ZeroDivisionError

            monkeypatch.setattr(served.desk.hub, "_topics", broken)
            for _ in range(20):
                await anext(stream)
            await stream.aclose()

    serve(tmp_path, work)


def test_history_comes_as_columns_of_the_asked_time(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        tags = ["TFF201.WT_RET", "TFF201.TMP"]
        begin = served.clock.now()
        for _ in range(20):
            await served.engine.scanner.next_scan()
        await served.engine.historian.flush()
        end = served.clock.now()
        async with served.client() as client:
            weight, _ = await client.history(tags, begin, end)
            assert (weight.tag, weight.unit) == (tags[0], "g")
            assert len(weight) >= 18
            assert all(begin <= t <= end for t in weight.t)
            means, _ = await client.history(tags, begin, end, buckets=5)
            assert len(means) == 5
            assert math.isclose(means.v[2], weight.v[len(weight) // 2], abs_tol=0.1)
            (whole,) = await client.history(tags[:1])
            assert len(whole) >= len(weight)

    serve(tmp_path, work)


def test_history_that_cannot_be_given_is_refused(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        await served.engine.historian.flush()
        now = served.clock.now()
        async with served.client() as client:
            for tags, start, end, status in (
                (["TFF201.NOTHING"], now - NS, now, 404),
                (["TFF201.TMP"], now, now - NS, 422),
                (["TFF201.TMP"], now - 10_000_000 * NS, now, 422),
                ([], now - NS, now, 422),
            ):
                with pytest.raises(ApiError) as refused:
                    await client.history(list(tags), start, end)
                assert refused.value.status == status
        assert (await served.raw("GET", "/api/history?tag=TFF201.TMP")).status_code == 401

    serve(tmp_path, work)


def test_ten_clients_do_not_delay_the_scan(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        async def follow() -> None:
            async with served.client() as client:
                stream = client.stream()
                for _ in range(40):
                    await anext(stream)
                await stream.aclose()

        await asyncio.gather(*(follow() for _ in range(10)))

    serve(tmp_path, work)
