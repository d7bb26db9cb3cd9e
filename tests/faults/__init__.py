"""The fault matrix: real processes, killed, cut off and misled; every reading accounted for.

``python -m tests.faults`` runs it. Rows are functions under ``@fault`` (matrix), each with a
`Stage` of its own (stage) that ends in an `Account` (account).
"""
