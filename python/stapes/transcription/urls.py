"""Where sessions of transcription and of translation are, beside a provider's conversations.

Source: OpenAI's guides: a transcription names no model in its URL, and says `intent=transcription`;
a translation has a path of its own, and names its model.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

__all__ = ["transcription_url", "translation_url"]


def transcription_url(conversations: str) -> str:
    """The URL of transcriptions, from that of a provider's conversations."""
    parts = urlsplit(conversations)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "model"]
    query = urlencode([*kept, ("intent", "transcription")], quote_via=quote)
    return urlunsplit(parts._replace(query=query))


def translation_url(conversations: str) -> str:
    """The URL of translations, from that of a provider's conversations with the model in it."""
    parts = urlsplit(conversations)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/translations"))
