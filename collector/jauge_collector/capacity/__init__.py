"""GPU capacity of a site, gathered for a planner: what `jauge_models.capacity` answers from.

``plant_file`` the plant that a person declares · ``past`` what its nodes did, from ledger and
store · ``planning`` a scenario answered · ``sentences`` the answer in words · ``picture`` demand
against its limits.
"""
