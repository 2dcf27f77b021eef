"""How a call is shown: live in a terminal, as a picture, as text."""
