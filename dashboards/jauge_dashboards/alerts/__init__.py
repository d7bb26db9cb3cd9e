"""Alert rules, their runbooks, and how they reach people: one list, written for each program."""
