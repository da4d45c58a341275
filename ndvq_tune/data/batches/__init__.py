"""What a model gets: samples cut from decoded rows, changed at random, in batches."""
