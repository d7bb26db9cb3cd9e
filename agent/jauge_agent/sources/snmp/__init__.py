"""SNMP devices: rack PDUs with their outlets, UPS, air conditioners, probes.

What a device offers is what the profile of its family names (``profiles/snmp``). Requests are GET
and GETNEXT; there is no code here that could write.
"""
