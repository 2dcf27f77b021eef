"""Turn-taking: how long answers take, and whether the agent stops, by ear."""
