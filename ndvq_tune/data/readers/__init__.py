"""What decodes a file, by kind: each a generator of blocks of rows."""
