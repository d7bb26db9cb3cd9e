"""Servers through their management controllers (BMC), by IPMI and DCMI with FreeIPMI.

``settings`` what a user writes · ``programs`` starts FreeIPMI and ends it · ``answers`` what it
prints · ``source`` the source.
"""
