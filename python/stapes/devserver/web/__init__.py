"""HTTP and WebSocket around the protocol (Starlette)."""
