"""``python -m ndvq_tune.train``: see ``commands/train.py``."""

from ndvq_tune.commands.train import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.train")
