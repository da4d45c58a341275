"""The commands: a module each, which parses, calls and prints.

``ndvq-tune NAME ...`` and ``python -m ndvq_tune.NAME ...`` are the same. A new command is a module here with a
``typer.Typer`` named ``app``, a line in ``main.py``, and a shim ``ndvq_tune/NAME.py``.

What a command needs is imported when it runs, and not with its module: ``--help`` and the answer to a mistake shall not
wait for torch, Ray, MLflow or Optuna. ``tests/commands/test_start.py`` holds that.
"""
