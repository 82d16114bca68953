"""Arms: each one pure function from an episode to training records."""
