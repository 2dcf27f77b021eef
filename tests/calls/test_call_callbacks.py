"""Callbacks of a call: given with `on`, taken off with `off`."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.test_call_endings import called

from stapes.calls import CallEnded, CallEvent, CallHeld, Dtmf

if TYPE_CHECKING:
    from stapes.calls import Call


class Keys:
    """Takes keys by a bound method, of which Python makes a new object each time."""

    def __init__(self) -> None:
        self.digits = ""

    def press(self, key: Dtmf) -> None:
        self.digits += key.digit


async def press(call: Call, socket: Any, digits: str) -> None:
    """The caller presses keys: all callbacks have been called when it returns."""
    last = Keys()
    call.on(Dtmf, last.press)
    for digit in digits:
        dtmf = {"track": "inbound_track", "digit": digit}
        socket.say(json.dumps({"event": "dtmf", "streamSid": "MZ1", "dtmf": dtmf}))
    async with asyncio.timeout(5):
        while last.digits != digits:
            await asyncio.sleep(0)
    call.off(Dtmf, last.press)


async def test_off_ends_what_on_began() -> None:
    given, decorated, every = Keys(), Keys(), Keys()
    async with called() as (call, socket):
        call.on(Dtmf, given.press)

        @call.on(Dtmf)
        def pressed(key: Dtmf) -> None:
            decorated.press(key)

        call.on(object, every.press)
        await press(call, socket, "1")
        call.off(Dtmf, given.press)
        await press(call, socket, "2")
        call.off(Dtmf, pressed)
        await press(call, socket, "3")
        call.off(object, every.press)
        await press(call, socket, "4")
    assert (given.digits, decorated.digits, every.digits) == ("1", "12", "123")


async def test_off_takes_one_of_several_and_leaves_what_it_does_not_know() -> None:
    keys, other = Keys(), Keys()
    async with called() as (call, socket):
        call.on(Dtmf, keys.press)
        call.on(Dtmf, keys.press)
        call.off(Dtmf, other.press)
        call.off(CallEnded, keys.press)
        await press(call, socket, "1")
        call.off(Dtmf, keys.press)
        await press(call, socket, "2")
        call.off(Dtmf, keys.press)
        call.off(Dtmf, keys.press)
        await press(call, socket, "3")
    assert keys.digits == "112"


async def test_a_callback_may_take_itself_off_and_others() -> None:
    once, after = Keys(), Keys()
    async with called() as (call, socket):

        def first(key: Dtmf) -> None:
            once.press(key)
            call.off(Dtmf, first)
            call.off(Dtmf, after.press)

        call.on(Dtmf, first)
        call.on(Dtmf, after.press)
        await press(call, socket, "12")
    # What is told at that moment still reaches the one behind.
    assert (once.digits, after.digits) == ("1", "1")


async def test_an_async_callback_that_is_taken_off_ends_what_it_has_begun() -> None:
    keys, may_go_on = Keys(), asyncio.Event()
    async with called() as (call, socket):

        async def slow(key: Dtmf) -> None:
            await may_go_on.wait()
            keys.press(key)

        call.on(Dtmf, slow)
        await press(call, socket, "1")
        call.off(Dtmf, slow)
        await press(call, socket, "2")
        may_go_on.set()
        async with asyncio.timeout(5):
            while not keys.digits:
                await asyncio.sleep(0)
    assert keys.digits == "1"


@pytest.mark.parametrize("kind", ["dtmf", None, 7])
async def test_what_is_no_class_is_refused_where_it_is_given(kind: Any) -> None:
    async with called() as (call, _):
        said = f"kind must be the class of an event, such as stapes.calls.Dtmf, not {kind!r}"
        with pytest.raises(TypeError, match=said):
            call.on(kind, print)
        with pytest.raises(TypeError, match=said):
            call.on(kind)


async def test_what_cannot_be_called_or_would_never_run_is_refused_where_it_is_given() -> None:
    def yields(_: Dtmf) -> Any:
        yield

    async def yields_later(_: Dtmf) -> Any:
        yield

    async with called() as (call, _):
        with pytest.raises(TypeError, match="callback must be callable, not str"):
            call.on(Dtmf, "press")  # type: ignore[arg-type]
        for callback in (yields, yields_later):
            with pytest.raises(TypeError, match=f"callback {callback.__name__} is a generator"):
                call.on(Dtmf, callback)
        with pytest.raises(TypeError, match=r"callback functools\.partial.* is a generator"):
            call.on(Dtmf, functools.partial(yields))


async def test_any_event_and_several_classes_may_be_named() -> None:
    every, some = Keys(), Keys()
    async with called() as (call, socket):
        call.on(CallEvent, lambda event: isinstance(event, Dtmf) and every.press(event))  # type: ignore[arg-type]
        call.on((Dtmf, CallHeld), some.press)  # type: ignore[arg-type]
        await press(call, socket, "1")
    assert (every.digits, some.digits) == ("1", "1")


class Odd(BaseException):
    """What a native extension raises when it panics."""


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError, Odd])
@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_a_callback_that_raises_is_logged_and_the_one_behind_is_called(
    error: type[BaseException], later: bool, caplog: pytest.LogCaptureFixture
) -> None:
    behind = Keys()

    def fail(_: Dtmf) -> None:
        raise error

    async def fail_later(_: Dtmf) -> None:
        raise error

    async with called() as (call, socket):
        call.on(Dtmf, fail_later if later else fail)
        call.on(Dtmf, behind.press)
        await press(call, socket, "1")
        async with asyncio.timeout(5):
            while "a callback" not in caplog.text:
                await asyncio.sleep(0)
    assert behind.digits == "1"
    (record,) = [record for record in caplog.records if record.name == "stapes.calls"]
    assert record.exc_info is not None
    assert record.exc_info[0] is error
