"""Profiles of providers: where they are, how to authenticate, which defaults hold."""

from stapes.providers.azure import AzureOpenAI
from stapes.providers.base import ApiKey, Credentials, Provider, SessionDefaults
from stapes.providers.endings import Endings
from stapes.providers.openai import OpenAI

__all__ = [
    "ApiKey",
    "AzureOpenAI",
    "Credentials",
    "Endings",
    "OpenAI",
    "Provider",
    "SessionDefaults",
]
