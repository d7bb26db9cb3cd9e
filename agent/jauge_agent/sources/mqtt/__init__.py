"""Meters and gateways that publish by themselves over MQTT: their JSON, SenML or plain numbers.

``config`` which value stands where · ``payload`` a number out of a message · ``values`` the last
value of each point, and for how long it is one · ``listener`` the connection · ``source`` the
source.
"""
