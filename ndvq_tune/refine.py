"""``python -m ndvq_tune.refine``: see ``commands/refine.py``."""

from ndvq_tune.commands.refine import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.refine")
