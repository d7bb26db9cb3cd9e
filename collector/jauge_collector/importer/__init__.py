"""Import: history from CSV and TSV files, by a mapping file, into store and ledger."""
