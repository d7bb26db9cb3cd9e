"""Servers through their management controllers (BMC), by Redfish over HTTPS.

``session`` what may leave for a BMC · ``values`` where a value is and whether it is one ·
``walking`` documents and collections by their links · ``ownership`` whose
chassis is whose · ``whole_power`` which reading is the whole server's · ``supplies``, ``thermal``
the rest · ``inventory`` what a BMC offers, and the documents to ask for · ``source`` the source.
"""
