"""``python -m ndvq_tune.data``: runs ``commands/data.py``, which lies above this room and so is not imported."""

from runpy import run_module

if __name__ == "__main__":
    run_module("ndvq_tune.commands.data", run_name="__main__")
