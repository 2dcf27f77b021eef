"""What a provider cannot take is refused, by name, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stapes.items import InputImage
from stapes.providers.refusing import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stapes.items import HistoryItem
    from stapes.providers import Provider

__all__ = ["refuse_images", "refuse_message", "refuse_response", "refuse_rewriting"]

_SPEAK = "let the user speak (send_audio), or say it in the agent's instructions"
_NO_IMAGE = "leave images out, or use a provider that sees them"


def refuse_message(item: Mapping[str, Any], provider: Provider) -> None:
    """Refuses a message that the provider cannot take.

    Raises:
        stapes.NotSupportedError: it takes none, or none with an image.
    """
    if not provider.capabilities.messages:
        raise refusal(provider, "messages from a client", _SPEAK)
    refuse_images([item], provider)


def refuse_images(history: Sequence[HistoryItem | Mapping[str, Any]], provider: Provider) -> None:
    """Refuses items with images, where the provider sees none.

    Raises:
        stapes.NotSupportedError: there is one.
    """
    if provider.capabilities.images:
        return
    for item in history:
        content = item.get("content") if isinstance(item, Mapping) else getattr(item, "content", ())
        for part in content if isinstance(content, list | tuple) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind == "input_image" or isinstance(part, InputImage):
                raise refusal(provider, "images", _NO_IMAGE)


def refuse_rewriting(
    history: Sequence[HistoryItem | Mapping[str, Any]], provider: Provider
) -> None:
    """Refuses to rewrite a conversation that the provider lets nobody rewrite.

    Raises:
        stapes.NotSupportedError: it takes no messages, or one of the items has an image.
    """
    if not provider.capabilities.messages:
        raise refusal(
            provider,
            "messages from a client",
            "begin a session with history=, which goes into the instructions",
        )
    refuse_images(history, provider)


def refuse_response(settings: Mapping[str, Any], provider: Provider) -> None:
    """Refuses settings of a response that the provider does not have.

    Raises:
        stapes.NotSupportedError: it has none, or not these.
    """
    can = provider.capabilities
    if settings and not can.response_settings:
        raise refusal(
            provider, "settings of one response", "ask for it without, or change the agent"
        )
    if settings.get("conversation") == "none" and not can.out_of_band:
        raise refusal(
            provider, "responses beside the conversation", "leave conversation='none' out"
        )
    if settings.get("output_modalities") == ["text"] and not can.text_output:
        raise refusal(provider, "answers in text alone", "leave output_modalities out")
