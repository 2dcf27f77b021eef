"""Counts the instructions of the core alone."""
