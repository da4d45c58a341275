"""Decoded data on disk: made once from a source, mapped into memory by every process that needs it."""
