"""Which servers comply, why, and until when: pure evaluation of the compliance record.

Evidence goes in (`evidence`), criteria come out (`site_criteria`, `server_criteria`), then results
and shares (`results`) and the way to the goal (`trajectory`). Thresholds are data (`policy`). The
definition, with what is a text and what is this project's own, is in ``docs/compliance.md``.
"""
