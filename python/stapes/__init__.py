"""Realtime voice sessions for Python on a Rust core."""
