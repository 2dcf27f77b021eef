"""A mind that listens: it recognises speech, and answers by rules.

It is honest work, but no intelligence: words are recognised with a vocabulary made from the agent,
and compared with its tools. Enough to hold a telephone conversation with an agent under
development, without a key and without a network; the same words always get the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.conversation import Conversation, Turn
from stapes.devserver.listening.recognition.recogniser import Recogniser
from stapes.devserver.listening.speaking import small_talk
from stapes.devserver.listening.speaking.facts import facts_about
from stapes.devserver.listening.speaking.phrasing import ask_for, say_output
from stapes.devserver.listening.tools import Tool, read_tools
from stapes.devserver.listening.understanding.choosing import (
    Intent,
    choose,
    complete,
    follow_up,
    heard_words,
    look_up,
)
from stapes.devserver.mind import Call, Say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from stapes.devserver.mind import View


_FEWEST_WORDS = 3
"""Of which something can be made without knowing any."""


class ListeningMind:
    """Hears with PocketSphinx and answers by rules.

    It keeps nothing between calls: what was said before it reads from the conversation's items.

    Args:
        recogniser: what hears; by default one process of `Recogniser`.

    Raises:
        RecognitionError: PocketSphinx is not installed.
    """

    def __init__(self, recogniser: Recogniser | None = None) -> None:
        self._recogniser = recogniser or Recogniser()

    @property
    def capacity(self) -> int:
        """How many calls may speak at once."""
        return self._recogniser.capacity

    def prepare(self, *, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Get ready to hear what is said to an agent, in the background."""
        self._recogniser.prepare(instructions=instructions, tools=tools)

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Transcribe PCM16 mono at 24,000 Hz, spoken to the agent described.

        Raises:
            RecogniserBusyError: too much waits to be recognised.
            RecognitionError: the recogniser failed.
        """
        return await self._recogniser.transcribe(pcm, instructions=instructions, tools=tools)

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Answer the last thing in the conversation: what was said, or what tools returned."""
        for act in decide(view):
            yield act


def decide(view: View) -> Iterator[Say | Call]:
    """Apply the rules to a conversation."""
    tools = read_tools(view.tools)
    conversation = Conversation.of(view.items, view.instructions)
    if conversation.outputs:
        yield from _after_outputs(view, conversation, tools)
    elif conversation.blocked:
        yield Say(small_talk.BLOCKED)
    elif conversation.said is None:
        yield Say(f"{small_talk.introduce(view.instructions)} How can I help you?")
    elif conversation.answered:
        yield Say(small_talk.ANYTHING_ELSE)
    else:
        yield from _to_caller(view, conversation, tools)


def _after_outputs(
    view: View, conversation: Conversation, tools: Sequence[Tool]
) -> Iterator[Say | Call]:
    by_name = {tool.name: tool for tool in tools}
    handoff = next((one.handoff for one in conversation.outputs if one.handoff), None)
    sentences = [
        say_output(by_name.get(one.name), one.arguments, one.text)
        for one in conversation.outputs
        if not one.handoff
    ]
    if handoff is None:
        yield Say(" ".join(sentences))
        return
    hello = small_talk.introduce(view.instructions, handoff)
    # The new agent has heard what the caller wants, and goes on with it if it can.
    intent = choose(heard_words(conversation.said or ""), tools)
    if intent and intent.lacks is None and not intent.tool.handoff:
        yield Say(hello)
        yield Call(intent.tool.name, intent.arguments)
    elif intent and intent.lacks:
        yield Say(f"{hello} {ask_for(intent.lacks)}")
    else:
        yield Say(f"{hello} How can I help you?")


def _to_caller(
    view: View, conversation: Conversation, tools: Sequence[Tool]
) -> Iterator[Say | Call]:
    words = heard_words(conversation.said or "")
    intent = _intent(words, conversation.before, tools)
    if intent and not intent.sure and intent.lacks and _facts(view, words):
        intent = None
    if intent is None and (talk := _talk(view, words, tools)):
        yield Say(talk)
        return
    intent = intent or look_up(words, tools)
    if intent is None:
        yield Say(small_talk.does_not_know(tools))
    elif intent.lacks:
        yield Say(ask_for(intent.lacks))
    else:
        yield Call(intent.tool.name, intent.arguments)


def _intent(words: Sequence[str], before: Sequence[Turn], tools: Sequence[Tool]) -> Intent | None:
    chosen = choose(words, tools)
    if chosen and chosen.lacks is None:
        return chosen
    asked = _asked(before, tools)
    if asked and not small_talk.reply(words, "", ()) and (completed := complete(asked, words)):
        return completed
    if before and before[-1].calls:
        by_name = {tool.name: tool for tool in tools}
        name, arguments = before[-1].calls[-1]
        if name in by_name and (again := follow_up(words, by_name[name], arguments)):
            return again
    return chosen


def _asked(before: Sequence[Turn], tools: Sequence[Tool]) -> Intent | None:
    """Return what the caller was asked to complete in the last answer."""
    asked: Intent | None = None
    for turn in before:
        words = heard_words(turn.said)
        intent = choose(words, tools)
        if turn.calls:
            asked = None
        elif asked and (intent is None or intent.lacks):
            asked = complete(asked, words) or intent
        else:
            asked = intent
    return asked if asked and asked.lacks else None


def _facts(view: View, words: Sequence[str]) -> list[str]:
    text = " ".join(words)
    return facts_about(text, view.instructions, at_length=small_talk.wants_length(text))


def _talk(view: View, words: Sequence[str], tools: Sequence[Tool]) -> str | None:
    """Answer without a tool; None where a question was understood but not what it is about."""
    if facts := _facts(view, words):
        return " ".join(facts)
    if reply := small_talk.reply(words, view.instructions, tools):
        return reply
    if small_talk.wants_length(" ".join(words)) and not look_up(words, tools):
        return small_talk.AT_LENGTH
    return small_talk.NOT_CAUGHT if len(words) < _FEWEST_WORDS else None
