"""``python -m ndvq_tune.reconstruct``: see ``commands/reconstruct.py``."""

from ndvq_tune.commands.reconstruct import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.reconstruct")
