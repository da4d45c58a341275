"""``python -m ndvq_tune.evaluate``: see ``commands/evaluate.py``."""

from ndvq_tune.commands.evaluate import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.evaluate")
