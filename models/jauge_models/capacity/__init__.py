"""GPU capacity: what a room of GPU servers can take, what is asked of it, and when it is full.

The plant: ``inventory`` kinds, nodes, racks, breakers, rooms · ``siting`` in which racks new nodes
fit. One moment: ``workloads`` what is to be placed · ``free`` · ``power_limits`` ·
``packing_policies`` · ``placement`` where workloads go and why one does not. Many hours:
``scenario`` what a planner asks · ``toml_text`` · ``demand`` · ``occupancy`` · ``power_hours`` ·
``schedule`` · ``node_draw`` · ``node_load`` · ``limit_use`` · ``outcome`` · ``what_if`` ·
``consolidation_plan``. Measured: ``history`` what is too little of it · ``power_curves`` activity
to watts · ``idle_gpus`` · ``forecast_methods`` · ``back_test`` · ``forecast`` · ``fullness`` ·
``outlook``. All of it: ``answer``. Needs numpy, the extra ``capacity``.
"""
