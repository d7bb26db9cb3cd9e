"""The Jauge collector: subscriber, store, ledger, KPIs, console."""

__version__ = "0.1.0"
