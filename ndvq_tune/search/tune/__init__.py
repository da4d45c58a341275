"""A search on Ray Tune: adapters that ask the engine, and the lanes that train."""
