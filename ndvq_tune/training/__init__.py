"""Training: the loop and checkpoints in plain torch, and the Ray Train workers that run them."""
