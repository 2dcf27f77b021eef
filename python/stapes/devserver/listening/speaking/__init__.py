"""Speaking: what to say, in sentences."""
