"""The ledger: the accounting record of what flowed, computed from stored readings alone."""
