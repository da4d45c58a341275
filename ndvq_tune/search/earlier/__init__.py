"""What can be learned from earlier searches: a warm start, or a narrower space."""
