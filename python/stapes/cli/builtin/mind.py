"""A mind that understands no words, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.cli.builtin import texts
from stapes.devserver import Call, Say
from stapes.devserver.listening.conversation import Conversation
from stapes.devserver.listening.tools import Tool, read_tools, words_of
from stapes.devserver.listening.understanding.choosing import choose, heard_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from stapes.devserver import View
    from stapes.devserver.listening.tools import Parameter

_BYTES_PER_SECOND = 48_000
_CALLS_IN_TURN = 1
"""The second thing that a caller says is answered with a call of a tool."""
_ONLY_READS = {
    "availability", "balance", "check", "clock", "date", "describe", "fetch", "find", "forecast",
    "get", "hours", "info", "list", "look", "lookup", "menu", "news", "price", "prices", "query",
    "read", "search", "show", "status", "tell", "temperature", "time", "weather",
}  # fmt: skip
"""A tool whose name begins or ends with one of these changes nothing: nobody has asked for it."""
_BY_NAME = {"city": "Paris", "country": "France", "day": "today", "location": "Paris"}


class BuiltinMind:
    """Answers each turn with a recorded sentence; what is typed may call a tool.

    It keeps nothing between calls: where it is, it reads from the conversation's items.
    """

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return how long somebody spoke, in place of words."""
        return f"({len(pcm) / _BYTES_PER_SECOND:.1f} seconds of speech)"

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Say what is due, or call a tool."""
        for move in _moves(view):
            yield move


def _moves(view: View) -> Iterator[Say | Call]:
    conversation = Conversation.of(view.items)
    if conversation.outputs:
        handed_over = any(output.handoff for output in conversation.outputs)
        yield Say(texts.HANDED_OVER if handed_over else texts.CALLED)
        return
    if conversation.said is None:
        yield Say(texts.GREETING)
        return
    tools = read_tools(view.tools)
    if not was_spoken(view.items):
        intent = choose(heard_words(conversation.said), tools)
        if intent is not None and intent.lacks is None:
            yield Call(intent.tool.name, intent.arguments)
            return
    elif len(conversation.before) == _CALLS_IN_TURN and (call := _harmless_call(tools)):
        yield Say(texts.CALLING)
        yield call
        return
    yield Say(texts.ANSWERS[len(conversation.before) % len(texts.ANSWERS)])


def was_spoken(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the caller's last message has sound."""
    for item in reversed(items):
        if item.get("role") == "user":
            return any(part.get("type") == "input_audio" for part in item.get("content") or ())
    return False


def _harmless_call(tools: Sequence[Tool]) -> Call | None:
    """Call the first tool that changes nothing and whose arguments can be made up."""
    for tool in tools:
        words = words_of(tool.name)
        if tool.handoff or not words or not {words[0], words[-1]} & _ONLY_READS:
            continue
        needed = [parameter for parameter in tool.parameters if parameter.required]
        arguments = {parameter.name: _example(parameter) for parameter in needed}
        if None not in arguments.values():
            return Call(tool.name, arguments)
    return None


def _example(parameter: Parameter) -> Any:
    """Return a value that the parameter may have; `None` where nothing tells one."""
    if parameter.choices:
        return parameter.choices[0]
    if parameter.type != "string":
        return None
    return parameter.examples[0] if parameter.examples else _BY_NAME.get(parameter.words[-1])
