"""GPU capacity of a site, gathered for a planner: what `jauge_models.capacity` answers from.

``plant_file`` the plant that a person declares · ``gpu_places`` which GPUs are in which node ·
``gpu_hours`` their hours, and how far back · ``past`` what its nodes did, from ledger and store ·
``closed_past`` the same of a closed quarter · ``outlooks`` the use of its limits and pools ·
``planning`` a scenario answered · ``sheet`` the answer in words, its tables out of
``scenario_tables`` and ``measured_tables`` · ``picture`` demand against its limits · ``sheet_csv``
its tables as a file · ``scenarios`` those that were saved · ``families`` what /metrics shows of it.
"""
