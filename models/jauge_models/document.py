"""Prints docs/quantities.md: ``python -m jauge_models.document``."""

from jauge_models.quantities import render_table

if __name__ == "__main__":
    print(render_table(), end="")
