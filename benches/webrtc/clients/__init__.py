"""Clients that hold calls with the reflector, each in a process of its own."""
