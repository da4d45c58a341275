"""A model of all learning curves of a search, and what follows: which paused trial goes on, and what to try next.

Pure functions of trial records, as all of the engine: the same records give the same model and the same decisions.
"""
