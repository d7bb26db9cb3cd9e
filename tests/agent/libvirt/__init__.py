"""The libvirt source against a real libvirtd and guests that QEMU emulates."""
