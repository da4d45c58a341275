"""``python -m ndvq_tune.report``: runs ``commands/report.py``, which lies above this room and so is not imported."""

from runpy import run_module

if __name__ == "__main__":
    run_module("ndvq_tune.commands.report", run_name="__main__")
