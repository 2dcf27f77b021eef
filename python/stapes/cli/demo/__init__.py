"""The demo: a caller, an agent, and a development server hold a conversation on this machine."""
