"""NVIDIA GPUs by the driver's own library (NVML), and the instances that MIG cuts them into.

``values`` what one handle of NVML tells, in units of the catalogue · ``boards`` GPUs and instances
with what each offers · ``source`` the source.
"""
