"""The agents of a session: what the server is told of them, and which one is in charge."""
