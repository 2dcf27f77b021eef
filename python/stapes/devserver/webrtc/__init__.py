"""A call over WebRTC, with aiortc: the events on a data channel, the sound beside them.

It needs aiortc, without which the development server runs, too: import it when it is asked for.
"""
