"""`RealtimeTranslation`: speech is spoken in another language as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from stapes.events import (
    Audio,
    ConnectionChanged,
    Error,
    Lagging,
    SessionRestored,
    TransportEvent,
)
from stapes.providers.named import chosen
from stapes.session.dispatch.listeners import EventKinds
from stapes.session.reconnecting import ReconnectPolicy
from stapes.speech_events import TranslationDelta
from stapes.transcription.models import TRANSLATES
from stapes.transcription.options import SpeechOptions
from stapes.transcription.session import SpeechSession
from stapes.transcription.urls import translation_url
from stapes.transport import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stapes.config import NoiseReduction
    from stapes.providers import ApiKey, Provider
    from stapes.session.completion import Completion

__all__ = ["RealtimeTranslation", "TranslationEvent"]

TranslationEvent: TypeAlias = (
    ConnectionChanged | SessionRestored | Audio | TranslationDelta | Lagging | Error
)
"""What `async for event in translation` gives."""

_RECONNECT = ReconnectPolicy()
_RATE = 24_000


class RealtimeTranslation(SpeechSession[TranslationEvent]):
    """Speech is spoken in another language as it comes: sound in, sound and words out, no agent.

        async with RealtimeTranslation(language="es") as translation:
            translation.stream_audio(recording)
            async for event in translation:
                match event:
                    case Audio(data=pcm):
                        speaker.write(pcm)
                    case TranslationDelta(role="assistant", delta=words):
                        print(words, end="")

    There are no turns: the model translates the stream, silence included, so go on sending while
    nobody speaks. `Audio` events have no ids. A connection that is lost is made again: the last
    second and what is sent meanwhile are then sent again, and what was being translated is cut.

    Commands take effect when they are called, in order, and return an awaitable for their end; not
    awaiting one is fine, its failure is then an `error` event. Create and use it on one event loop;
    `send_audio` may be called from any thread.

    Args:
        language: into which it is translated, as ISO 639-1 (`es`).
        model: the provider's model. Default: `gpt-realtime-translate`.
        transcription_model: writes down what is said as well, as `TranslationDelta` events of the
            role `user`. Default: nothing does.
        noise_reduction: the provider's, such as `{"type": "near_field", "strength": 0.5}`.
        output_sample_rate: the rate of `Audio` events, in Hz: PCM, 16 bit, mono. Default: 24,000,
            as on the wire.
        transport: limits, proxy and TLS of the WebSocket.
        api_key: the provider's key, or a function that gets one. Default: the environment's.
        provider: the provider's name, or its profile: see `stapes.providers`. Default: OpenAI's.
        reconnect: how the session goes on when its connection is lost. `None`: it ends then.
        max_queued_events: events that may wait for a reader or callback: see `stapes.Lagging`.
        max_queued_bytes: bytes of sound, words and raw events that may wait for one.

    Raises:
        ValueError, TypeError: names the argument that is wrong.
    """

    _KINDS = EventKinds(TranslationEvent | TransportEvent)

    def __init__(
        self,
        language: str,
        *,
        model: str = TRANSLATES,
        transcription_model: str | None = None,
        noise_reduction: NoiseReduction | Mapping[str, Any] | None = None,
        output_sample_rate: int | None = None,
        transport: WebSocketTransport | None = None,
        api_key: ApiKey | None = None,
        provider: Provider | str = "openai",
        reconnect: ReconnectPolicy | None = _RECONNECT,
        max_queued_events: int = 10_000,
        max_queued_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        profile = chosen(provider)
        self._language = _checked(language)
        self._input = {
            "transcription": None
            if transcription_model is None
            else {"model": transcription_model},
            "noise_reduction": None if noise_reduction is None else dict(noise_reduction),
        }
        options = SpeechOptions(
            purpose="translation",
            model=model,
            input_format=("audio/pcm", _RATE),
            output_sample_rate=output_sample_rate,
            transport=transport or WebSocketTransport(),
            api_key=api_key,
            provider=profile,
            reconnect=reconnect,
            max_queued_events=max_queued_events,
            max_queued_bytes=max_queued_bytes,
        )
        super().__init__(options, translation_url(profile.url(model, kind="websocket")))

    @property
    def language(self) -> str:
        """The language into which it is translated."""
        return self._language

    @property
    def output_sample_rate(self) -> int:
        """The rate of `Audio` events, in Hz."""
        return self._options.output_sample_rate or _RATE

    def configuration(self) -> dict[str, Any]:
        """The `session` of the `session.update` event that a connection begins with."""
        return {"audio": {"input": self._input, "output": {"language": self._language}}}

    def set_language(self, language: str) -> Completion[None]:
        """Translates into another language from now on.

        Raises:
            ValueError: `language` is empty.
        """
        self._language = _checked(language)
        session = {"audio": {"output": {"language": language}}}
        return self.send_event({"type": "session.update", "session": session})


def _checked(language: str) -> str:
    if not isinstance(language, str) or not language.strip():
        raise ValueError(f"language is {language!r}: give the language as ISO 639-1, such as 'es'")
    return language
