"""What the curves of a search say: a verdict on the recommended model, and what to do next. Pure functions of records.

A rule looks for one sign, and says nothing where the records cannot support it. ``rules`` is the table of all of them.
"""
