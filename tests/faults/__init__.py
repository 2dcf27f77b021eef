"""The fault table: a connection is lost at each point of a turn, in each way."""
