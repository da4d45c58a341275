"""Which trials are good: fronts, standing, repetitions and how the front grew. Pure functions of records.

What a search decides by, what is recommended, and what the report shows is decided here, once.
"""
