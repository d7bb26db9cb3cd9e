"""Prints the sample of a policy file: ``python -m jauge_collector.registers.policy_sample``."""

import inspect
import sys

from jauge_models.samples import sample

from jauge_collector.registers.policy import PolicyFile


def text() -> str:
    """The text of ``samples/policy.toml``."""
    return sample(
        PolicyFile,
        title=(
            "The compliance policy. Every threshold shows its default; [P] marks the project's.",
            "Two different people approve it by the hash that jauge-collector shows of it.",
            "A key behind a # shows its default, if it has one.",
            "A section behind a # is left out by default; what it shows is an example.",
            "Generated from the structs in jauge_collector; do not edit.",
        ),
        source_of=inspect.getsource,
        examples={
            "version": "2026-1",
            "goal.milestones.day": "2026-12-31",
            "goal.milestones.share": 0.5,
            "envelopes.name": "example",
            "envelopes.allowable": [10.0, 35.0],
            "envelopes.recommended": [18.0, 27.0],
            "envelopes.reference": "an example: text, edition, table and page",
            "approvals.person": "login-1",
            "approvals.on": "2026-01-31",
            "approvals.hash": "0" * 64,
        },
    )


if __name__ == "__main__":
    sys.stdout.write(text())
