"""Promises of the declaration: typed options and points, and a driver that is only made."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.conformance.bench import NAME, Bench, on_bench
from drivers.conformance.rig import Rig
from drivers.driver import LinkState, Model


class DeclaringPromises:
    """What `evcontrol check` needs, before anything connects."""

    def test_options_and_points_are_typed_models_that_say_what_they_are(self, rig: Rig) -> None:
        """Both models derive from ``Model``, have a docstring of their own, and a type for every field."""
        for model in (rig.driver.options_model, rig.driver.point_model):
            assert issubclass(model, Model), f"{model!r} does not derive from drivers.driver.Model"
            assert model.__doc__ != Model.__doc__, f"{model.__name__} has no docstring"
            assert model.__doc__, f"{model.__name__} has no docstring"
            untyped = [name for name, field in model.model_fields.items() if field.annotation in (None, Any)]
            assert not untyped, f"{model.__name__}: {untyped} can be anything"

    def test_an_unknown_option_and_an_unknown_field_of_a_point_are_mistakes(self, rig: Rig) -> None:
        """A misspelt word of the plant file is found by `evcontrol check`."""

        async def test(bench: Bench) -> None:
            for model, good in (
                (rig.driver.options_model, rig.options()),
                *((rig.driver.point_model, tag.point) for tag in rig.tags()),
            ):
                model.model_validate(good)
                with pytest.raises(ValidationError, match="no_such_word"):
                    model.model_validate({**good, "no_such_word": 1})

        on_bench(rig, test, ready=False)

    def test_the_time_out_is_an_option(self, rig: Rig) -> None:
        """``timeout_s`` of the options is the time after which the engine calls the device's tags stale."""

        async def test(bench: Bench) -> None:
            options = rig.driver.options_model.model_validate(rig.options())
            assert getattr(options, "timeout_s", None) == rig.timeout_s

        on_bench(rig, test, ready=False)

    def test_a_driver_that_is_made_does_not_connect(self, rig: Rig) -> None:
        """The constructor begins no task and no thread; the link is DISCONNECTED and nobody is told anything."""

        async def test(bench: Bench) -> None:
            tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
            driver = bench.make()
            heard: list[object] = []
            driver.on_link = heard.append
            assert asyncio.all_tasks() == tasks, "the constructor began a task"
            assert set(threading.enumerate()) <= threads, "the constructor began a thread"
            await bench.pause()
            assert driver.name == NAME
            assert driver.link.state is LinkState.DISCONNECTED
            assert heard == []

        on_bench(rig, test, ready=False)
