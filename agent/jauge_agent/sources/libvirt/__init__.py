"""Guests of this machine by libvirt, which manages KVM and QEMU; read-only by construction.

``records`` what libvirt says of a guest, by either way · ``virsh`` by its program · ``library`` by
its Python module · ``meter`` values out of that · ``definition`` what a guest was given ·
``source`` the source.
"""
