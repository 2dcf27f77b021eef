"""The realtime protocol, server side, apart from any transport.

`RealtimeCall` takes client frames and gives server frames; what carries them is not its business.
"""
