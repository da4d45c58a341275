"""What decodes a file, by kind: each a generator of blocks of rows.

A reader takes a path and the configuration of the data, and yields numpy arrays ``(n, *row)`` of one type and row
shape: frames ``(H, W, C)``, samples of sound ``(C,)``, items of an array. It raises ``DataError`` for a file that is
broken, which is then left out and named. It is called once a file, in a process of its own, and what it yields is kept
in the cache. ``folder.source.KINDS`` is where it is registered, with the names of its files and of the settings that
it depends on.
"""
