"""Search strategies in simulated time: a table of learning curves takes the place of training."""
