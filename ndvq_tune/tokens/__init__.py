"""Files to codes and back: streams through a model, shards of codes on disk, and what writes files again."""
