"""The pure heart of Jauge: no file, no socket, no clock."""

__version__ = "0.1.0"
