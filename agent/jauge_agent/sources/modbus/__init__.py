"""Meters that speak Modbus TCP, or stand behind a gateway that does.

``registers`` what registers mean · ``profile`` register maps as data · ``blocks`` what is read
together · ``gateway`` the one socket of an address, and what may leave through it · ``device`` one
unit behind it · ``source`` the source · ``probing`` which meter answers at an address.
"""
