"""``python -m ndvq_tune.tokenize``: see ``commands/tokenize.py``."""

from ndvq_tune.commands.tokenize import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.tokenize")
