"""``python -m ndvq_tune.schema``: see ``commands/schema.py``."""

from ndvq_tune.commands.schema import app

if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.schema")
