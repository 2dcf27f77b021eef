"""What a provider can do, and who says so."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Capabilities", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What of the protocol a provider has. The default is OpenAI's.

    What it has not is done in another way where there is one, as stated here, and is otherwise
    refused before anything is sent, by `stapes.NotSupportedError`.

    Attributes:
        truncates: `conversation.item.truncate`. Without it, an interrupted answer is cut in the
            session's history alone; the model knows all of it.
        retrieves: `conversation.item.retrieve`. Without it, none is sent.
        cancels_by_id: `response.cancel` may name the response. Without it, it names none.
        traces: the `tracing` of a session. Without it, none is sent.
        messages: clients may create messages and calls. Without it, `send_message`, `add_image` and
            `update_history` are refused, and what a conversation begins with (`history=`, a
            snapshot, a connection in place of a lost one) stands at the end of the instructions.
            There too, for one answer, stands what an output guardrail says.
        ends_items: `conversation.item.done` confirms an item that was created, after `.added`.
        resumes_by: the field of the URL by which a connection in place of a lost one goes on with
            the conversation that the server holds. Empty: it holds none, and is told the history.
        binary_audio: sound travels in binary frames of the WebSocket, both ways: bytes of the
            session's formats, without base64. The profile has to ask for it in `own_settings`.
        images: images in messages. Without it they are refused.
        text_output: answers in text alone. Without it `output_modalities=["text"]` is refused.
        manual_turns: turn detection may be off. Without it `turn_detection=None` is refused.
        turn_detection: types of turn detection; `None`: any. Another type is refused.
        out_of_band: responses beside the conversation. Without it `{"conversation": "none"}` is
            refused.
        response_settings: settings of one response. Without it they are refused.
        changes_voice: the voice may change when the model has spoken. Without it, a later agent
            speaks with the voice of the first.
        hosted_mcp: hosted MCP servers, which the provider calls. Without it they are refused.
        prompts: stored prompts. Without it an agent's `prompt` is refused.
    """

    truncates: bool = True
    retrieves: bool = True
    cancels_by_id: bool = True
    traces: bool = True
    messages: bool = True
    ends_items: bool = True
    resumes_by: str = ""
    binary_audio: bool = False
    images: bool = True
    text_output: bool = True
    manual_turns: bool = True
    turn_detection: frozenset[str] | None = None
    out_of_band: bool = True
    response_settings: bool = True
    changes_voice: bool = False
    hosted_mcp: bool = True
    prompts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the facts of a profile come from.

    Attributes:
        text: what was read or recorded.
        date: when, as `2026-11`.
        recorded: recorded conversations with the provider back the profile. Otherwise it is from
            documentation, and was not tried.
    """

    text: str
    date: str
    recorded: bool

    def __str__(self) -> str:
        """A sentence: what a person wants to know first."""
        kind = "recorded" if self.recorded else "from documentation, not tried"
        return f"{kind} ({self.date}): {self.text}"
