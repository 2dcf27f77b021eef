"""Understanding: from words to the tool, handoff or question that is meant."""
