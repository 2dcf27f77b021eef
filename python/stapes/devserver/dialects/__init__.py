"""Other dialects of the realtime protocol, each written from its provider's documentation.

They translate at the edge of a connection: the session behind them speaks GA.
"""
