"""What plain methods make of the test samples of a search, for its model to be compared with."""
