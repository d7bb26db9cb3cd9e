"""The Jauge agent: sources, spool, publisher."""

__version__ = "0.1.0"
