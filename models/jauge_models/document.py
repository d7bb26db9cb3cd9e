"""Prints a generated page: ``python -m jauge_models.document [quantities|metrics]``."""

import sys
from typing import Final

from jauge_models import metrics, quantities

_PAGES: Final = {"quantities": quantities.render_table, "metrics": metrics.render_table}

if __name__ == "__main__":
    print(_PAGES[sys.argv[1] if len(sys.argv) > 1 else "quantities"](), end="")
