"""What is searched, and how: one YAML file, read and checked."""

from ndvq_tune.search.space.space import SearchSpace

__all__ = ["SearchSpace"]
