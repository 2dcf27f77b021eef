"""`stapes serve`: an agent for browsers and phones."""
