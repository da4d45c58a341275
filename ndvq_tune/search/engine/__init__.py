"""What a search decides. No Ray: the same code runs in a replay."""
