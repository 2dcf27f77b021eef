"""A mind for the development server that recognises speech and answers by rules."""

from __future__ import annotations

from stapes.devserver.listening.mind import ListeningMind, decide
from stapes.devserver.listening.recognition.recogniser import Recogniser, RecognitionError

__all__ = ["ListeningMind", "Recogniser", "RecognitionError", "decide"]
