"""What a search runs on: nodes, lanes, and what fits on them."""
