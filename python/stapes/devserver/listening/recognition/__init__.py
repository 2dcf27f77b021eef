"""Hearing: speech to words, in a process of its own."""
