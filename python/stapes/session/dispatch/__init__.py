"""From the messages of the core to callbacks, readers and users' code."""
