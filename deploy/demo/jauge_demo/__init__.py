"""Jauge on one machine: embedded broker, simulated site, one real agent."""

__version__ = "0.1.0"
