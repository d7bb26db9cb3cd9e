"""GPU capacity of a site, gathered for a planner: what `jauge_models.capacity` answers from.

``plant_file`` the plant that a person declares · ``gpu_places`` which GPUs are in which node ·
``past`` what its nodes did, from ledger and store · ``outlooks`` the use of its limits ·
``planning`` a scenario answered · ``sheet`` the answer in words and tables · ``picture`` demand
against its limits · ``sheet_csv`` its tables as a file · ``scenarios`` those that were saved ·
``families`` what /metrics shows of it.
"""
