"""Phone calls with both ends: what they cost, how fast they are, and how many fit on a core."""
