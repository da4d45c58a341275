"""What a search found, for people and for programs: a view made from records."""
