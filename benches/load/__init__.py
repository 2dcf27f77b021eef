"""The load measurement: realtime clients on one core against a server on another."""
