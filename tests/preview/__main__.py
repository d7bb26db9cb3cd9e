"""``python -m tests.preview``."""

import sys

from tests.preview.cli import main

sys.exit(main())
