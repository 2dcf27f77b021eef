"""Sound: formats on the wire, G.711, and voice activity. No protocol, no I/O."""
