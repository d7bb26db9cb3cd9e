"""The compliance record of a site: evidence out of registers, ledger and store, judged and told."""
