"""The commands of ``jauge-collector``, one module each, with ``add_parser`` and ``main``."""
