"""Names that a better one has replaced do not come back.

Names are matched whole: `TransportLine` and `place_of_cause`, which are public, are others than the
`Line` and `place` below. A word of ordinary English is matched only in the files where it had the
meaning that was replaced.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from tests.architecture.places import BINDINGS, CORE, PACKAGE, report, shown
from tests.architecture.python_source import PythonFile, package_files, stub_files
from tests.architecture.rust_source import crate_files

if TYPE_CHECKING:
    from collections.abc import Iterator

RUST = "rust/"
SESSION = "rust/core/src/session/"
CONVERSATION = "rust/core/src/conversation/"
TRANSPORT = "rust/core/src/transport/"
DELIVERY = "rust/core/src/delivery/"
OF_BINDINGS = r"rust/py/src/(?!audio/)"
CLIENT = r"python/stapes/(?!cli/|devserver/)"
DISPATCH = r"python/stapes/(hub\.py|event_loop\.py|session/)"


class Replaced(NamedTuple):
    """Old names, what is said now, and the files (patterns) in which the old ones meant that."""

    names: str
    by: str
    within: tuple[str, ...]


GLOSSARY = (
    Replaced("Word WORDS", "Message", (RUST, CLIENT)),
    Replaced("word words push_word", "message", (OF_BINDINGS, DELIVERY, DISPATCH)),
    Replaced("bells Bell Bells", "wakeup, Waker, WakeBatcher", (RUST, CLIENT)),
    Replaced("bell ringer ring_late rung", "waker, wake", (RUST, DISPATCH)),
    Replaced("ring", "wake", (OF_BINDINGS, DELIVERY, TRANSPORT, SESSION, DISPATCH)),
    Replaced("Shift at_rest", "WakeBatcher, on_park", (RUST, CLIENT)),
    Replaced("has_said is_to_listen", "note_enqueued, should_yield", (RUST,)),
    Replaced("said", "enqueued", (DELIVERY, OF_BINDINGS)),
    Replaced("Knock knock", "LoopWaker", (RUST, CLIENT)),
    Replaced("furnish Spares spares spare_words", "BufferPool, acquire", (RUST, CLIENT)),
    Replaced("texts", "BufferPool", (r"rust/core/src/\w+/(texts|mod)\.rs",)),
    Replaced("Place", "DispatchCursor, ItemPosition", (RUST, CLIENT)),
    Replaced("_place place", "slot, position, sequence", (OF_BINDINGS, CONVERSATION, DISPATCH)),
    Replaced("cause", "causing_sequence", (r"rust/py/src/(hub|route|session|acts)", DISPATCH)),
    Replaced("dispatched", "last_sequence", (OF_BINDINGS, DELIVERY)),
    Replaced("Line", "Connection", (RUST, CLIENT)),
    Replaced("line", "connection", (TRANSPORT + "session/", SESSION, OF_BINDINGS)),
    Replaced("Carriage CarriedLine", "ConnectionSettings, ExternalConnection", (RUST, CLIENT)),
    Replaced("carry to_carry", "run, outgoing_ready", (RUST, CLIENT)),
    Replaced("Greeting greeting", "SessionSetup", (RUST, CLIENT)),
    Replaced("Given", "AudioInput", (RUST,)),
    Replaced("NotTaken", "SendAudioError", (RUST,)),
    Replaced("Taken", "Drained", (RUST,)),
    Replaced("Upward", "UplinkFrame", (RUST,)),
    Replaced("Piece", "DownlinkFrame", (RUST,)),
    Replaced("Wanted", "DecodeMode", (RUST,)),
    Replaced("sound_apart", "media_track", (RUST, CLIENT)),
    Replaced("Apart", "Track", (RUST,)),
    Replaced("stretch Stretch", "segment", (RUST, CLIENT)),
    Replaced("Pace pace", "SpeechRate, DriverSettings", (RUST,)),
    Replaced("Manner manner", "DriverSettings", (RUST,)),
    Replaced("Voices voices", "AudioPipelines", (RUST,)),
    Replaced("Speaking Listening", "UplinkEncoder, DownlinkDecoder", (RUST,)),
    Replaced("speaking listening", "encoder, decoder", (TRANSPORT,)),
    Replaced("Trouble trouble", "CoreError", (RUST, CLIENT)),
    Replaced("Refused", "Rejected", (RUST,)),
    Replaced("Ended", "CloseReason", (RUST,)),
    Replaced("epoch", "agent_version", (CONVERSATION, SESSION, TRANSPORT, OF_BINDINGS, CLIENT)),
    Replaced("generation", "connection_id", (RUST, CLIENT)),
    Replaced("response_generation", "response_index", (RUST, CLIENT)),
    Replaced("Posted posted", "LocalEvents", (CLIENT,)),
    Replaced("undecided_mcp", "pending_mcp_approvals", (RUST, CLIENT)),
    Replaced("to_smart_string", "tool_result_text", (CLIENT,)),
)

OLD_METHODS = {
    "keep": "stage",
    "place": "emit",
    "forget": "discard",
    "heard": "dispatched",
    "look": "peek",
}
"""What the methods of `LocalEvents` were called, and are."""


class Exempt(NamedTuple):
    """A name that stays in these files, and why."""

    name: str
    within: str
    why: str


EXCEPTIONS = (
    Exempt("sound_apart", r"python/stapes/transport", "a public attribute of a transport"),
    Exempt("Ended", r"rust/core/src/transport/net/exchange\.rs", "a stream ended, not a call"),
)


class Declared(NamedTuple):
    """A declaration of either language."""

    path: str
    line: int
    name: str


def _declared() -> Iterator[Declared]:
    for file in (*crate_files(CORE), *crate_files(BINDINGS)):
        path = shown(file.path)
        yield from (Declared(path, one.line, one.name) for one in file.declarations)
    for module in (*package_files(), *stub_files()):
        if re.match(CLIENT, path := shown(module.path)):
            yield from (Declared(path, one.line, one.name) for one in module.declarations)


def _is_exempt(one: Declared) -> bool:
    return any(
        one.name == exempt.name and re.match(exempt.within, one.path) for exempt in EXCEPTIONS
    )


def test_no_name_is_declared_that_has_been_replaced() -> None:
    replaced: dict[str, list[Replaced]] = {}
    for entry in GLOSSARY:
        for name in entry.names.split():
            replaced.setdefault(name, []).append(entry)
    found = {
        f"{one.path}:{one.line}: {one.name}: the name is {entry.by} now"
        for one in _declared()
        if one.name in replaced and not _is_exempt(one)
        for entry in replaced[one.name]
        if any(re.match(pattern, one.path) for pattern in entry.within)
    }
    assert not found, report([f"{len(found)} names that have been replaced", *sorted(found)])


def test_local_events_have_the_methods_of_the_glossary() -> None:
    path = PACKAGE / "session" / "local_events.py"
    found = [
        f"{shown(path)}:{method.lineno}: {method.name}: the name is {OLD_METHODS[method.name]} now"
        for node in PythonFile(path).tree.body
        if isinstance(node, ast.ClassDef) and node.name == "LocalEvents"
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name in OLD_METHODS
    ]
    assert not found, report(found)
