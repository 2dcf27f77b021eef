"""A call on this machine: sound devices, what is heard, what happened, and how it is shown."""
