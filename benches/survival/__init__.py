"""How long a session is without a connection, and what a replacement costs the sound."""
