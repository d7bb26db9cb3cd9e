"""The snmp source against real agents and recorded devices."""
