"""Voices that the development server speaks with."""
