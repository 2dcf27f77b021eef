"""A mind that follows a script: deterministic, for tests and for trying a client out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stapes.devserver.mind import Call, Say, View

When = str | re.Pattern[str] | Callable[[View], bool]


class ScriptError(ValueError):
    """A script that cannot be followed; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a script: when it applies, and what the mind does then.

    Args:
        when: what the caller's last message must hold: a text (in any case), a regular expression,
            or a function of the view. `None` applies to anything.
        after: the turn applies only when the last thing in the conversation is the output of the
            function of this name (`*` for any function); `when` then looks at the output. Without
            it the turn never answers a function's output.
        say: what to say: one text, or several, each a message of its own. `{output}` stands for
            the function's output, `{text}` for what the caller said, `{name}` for the group of
            that name in the regular expression.
        call: the function call or calls to make, after what is said. Texts among the arguments may
            hold the same places.
        times: how often the turn may be used, counted from the beginning of the script; `None` for
            any number of times.
    """

    when: When | None = None
    after: str | None = None
    say: str | Sequence[str] = ()
    call: Call | Sequence[Call] = ()
    times: int | None = None


@dataclass(frozen=True, slots=True)
class _Cue:
    """What a mind answers to: the last thing that happened in the conversation."""

    text: str
    function: str | None


class ScriptedMind:
    """Answers with the first turn of its script that applies, and hears what it is told to.

    One mind may serve many calls: a `DevServer` follows the script from its beginning over each
    connection, one that a session makes after a loss as well. In a `stapes.testing.AgentCall` with
    a server of its own the script goes on where it was.

    Args:
        turns: the script.
        hears: the transcripts of the caller's spoken turns, in order. After the last one nothing
            is heard (an empty transcript).
        otherwise: what is said when no turn applies; `None` says nothing.
    """

    def __init__(
        self,
        turns: Sequence[Turn] = (),
        *,
        hears: Sequence[str] = (),
        otherwise: str | None = None,
    ) -> None:
        self._turns = tuple(turns)
        self._hears = tuple(hears)
        self._otherwise = otherwise
        self._heard = 0
        self._used = [0] * len(self._turns)

    @classmethod
    def from_yaml(cls, source: str | Path) -> ScriptedMind:
        r"""Read a script from a YAML file. It needs PyYAML, which `stapes[demo]` has.

        The file holds `turns`, a list of the fields of `Turn`, and may hold `hears` and
        `otherwise`:

            hears: [what about bergen]
            turns:
              - when: {regex: 'about (?P<city>\w+)'}
                say: Let me look.
                call: {name: weather, arguments: {city: "{city}"}}
              - after: weather
                say: It is {output}.
            otherwise: Pardon?

        Raises:
            OSError: the file cannot be read.
            ScriptError: it is not such a script.
        """
        import yaml

        path = Path(source)
        try:
            script = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as problem:
            raise ScriptError(f"{path.name} is not YAML: {problem}") from problem
        return cls.from_mapping(script, name=path.name)

    @classmethod
    def from_mapping(cls, script: Any, *, name: str = "script") -> ScriptedMind:
        """Build a mind from the plain data of a script, as a YAML file holds it.

        Raises:
            ScriptError: it is not such a script.
        """
        fields = _fields(script, {"turns", "hears", "otherwise"}, name)
        turns = [
            _turn(turn, f"{name}: turn {number}")
            for number, turn in enumerate(_list(fields.get("turns", [])), start=1)
        ]
        hears = [str(text) for text in _list(fields.get("hears", []))]
        return cls(turns, hears=hears, otherwise=fields.get("otherwise"))

    def for_call(self) -> ScriptedMind:
        """Return a mind of the same script, at its beginning."""
        return ScriptedMind(self._turns, hears=self._hears, otherwise=self._otherwise)

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return the next transcript of the script, whatever was said."""
        self._heard += 1
        return self._hears[self._heard - 1] if self._heard <= len(self._hears) else ""

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        """Do what the first turn that applies says."""
        cue = _cue(view.items)
        for index, turn in enumerate(self._turns):
            if turn.times is not None and self._used[index] >= turn.times:
                continue
            places = _places(turn, cue, view)
            if places is None:
                continue
            self._used[index] += 1
            for text in _list(turn.say):
                yield Say(_filled(text, places))
            for call in _list(turn.call):
                yield Call(call.name, _filled(call.arguments, places))
            return
        if self._otherwise is not None:
            yield Say(self._otherwise)


def _cue(items: Sequence[Mapping[str, Any]]) -> _Cue:
    for item in reversed(items):
        match item:
            case {"type": "function_call_output", "output": output, "call_id": call_id}:
                names = (call["name"] for call in items if call.get("call_id") == call_id)
                return _Cue(str(output), next(names, ""))
            case {"type": "message", "role": "user", "content": content}:
                texts = (part.get("text") or part.get("transcript") or "" for part in content)
                return _Cue(" ".join(texts), None)
    return _Cue("", None)


def _places(turn: Turn, cue: _Cue, view: View) -> dict[str, str] | None:
    """Return what may be filled in, or `None` when the turn does not apply."""
    if (turn.after is None) != (cue.function is None):
        return None
    if turn.after not in (None, "*", cue.function):
        return None
    places = {"output" if cue.function is not None else "text": cue.text}
    match turn.when:
        case None:
            return places
        case str():
            return places if turn.when.casefold() in cue.text.casefold() else None
        case re.Pattern():
            found = turn.when.search(cue.text)
            return None if found is None else {**places, **_groups(found)}
        case _:
            return places if turn.when(view) else None


def _groups(found: re.Match[str]) -> dict[str, str]:
    return {name: value for name, value in found.groupdict().items() if value is not None}


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    """Put the places in; braces that are no place stay as they are."""
    match value:
        case str():
            return re.sub(r"\{(\w+)\}", lambda m: places.get(m[1], m[0]), value)
        case Mapping():
            return {name: _filled(inner, places) for name, inner in value.items()}
        case list() | tuple():
            return [_filled(inner, places) for inner in value]
        case _:
            return value


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _fields(value: Any, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScriptError(f"{where} must be a mapping of {', '.join(sorted(known))}, not {value!r}")
    unknown = [str(name) for name in value if name not in known]
    if unknown:
        raise ScriptError(
            f"{where} has no field {', '.join(unknown)}; its fields are {', '.join(sorted(known))}"
        )
    return value


def _turn(value: Any, where: str) -> Turn:
    fields = _fields(value, {"when", "after", "say", "call", "times"}, where)
    when = fields.get("when")
    if isinstance(when, dict):
        try:
            when = re.compile(str(_fields(when, {"regex"}, f"{where}, when")["regex"]), re.I)
        except (KeyError, re.error) as problem:
            raise ScriptError(f"{where}, when: {problem}") from problem
    times = fields.get("times")
    if times is not None and not isinstance(times, int):
        raise ScriptError(f"{where}, times: {times!r} is no number")
    calls = []
    for call in _list(fields.get("call", [])):
        described = _fields(call, {"name", "arguments"}, f"{where}, call")
        if "name" not in described:
            raise ScriptError(f"{where}, call: the name of the function is missing")
        arguments = described.get("arguments") or {}
        if not isinstance(arguments, dict | str):
            raise ScriptError(f"{where}, call: arguments must be a mapping, not {arguments!r}")
        calls.append(Call(str(described["name"]), arguments))
    return Turn(
        when=when if when is None or isinstance(when, re.Pattern) else str(when),
        after=fields.get("after"),
        say=[str(text) for text in _list(fields.get("say", []))],
        call=calls,
        times=times,
    )
