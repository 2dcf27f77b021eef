"""Tests of the source text: who imports whom, how long files are, what things are called."""
