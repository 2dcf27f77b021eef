"""Profiles of providers: where they are, how to authenticate, how they differ."""

from stapes.providers.audio_formats import AudioFormats
from stapes.providers.azure import Azure, AzureOpenAI, AzureVoiceLive
from stapes.providers.base import ApiKey, Credentials, Provider, SessionDefaults
from stapes.providers.capabilities import Capabilities, Source
from stapes.providers.dialect import BETA, GA, Dialect
from stapes.providers.elevenlabs import ElevenLabs
from stapes.providers.endings import Endings
from stapes.providers.inworld import Inworld
from stapes.providers.local import Local
from stapes.providers.named import NAMES, named
from stapes.providers.openai import OpenAI
from stapes.providers.qwen import Qwen
from stapes.providers.xai import XAI

__all__ = [
    "BETA",
    "GA",
    "NAMES",
    "XAI",
    "ApiKey",
    "AudioFormats",
    "Azure",
    "AzureOpenAI",
    "AzureVoiceLive",
    "Capabilities",
    "Credentials",
    "Dialect",
    "ElevenLabs",
    "Endings",
    "Inworld",
    "Local",
    "OpenAI",
    "Provider",
    "Qwen",
    "SessionDefaults",
    "Source",
    "named",
]
