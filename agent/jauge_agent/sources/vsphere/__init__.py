"""VMware vCenter: hosts, guests and GPUs, by pyvmomi over HTTPS.

``session`` what may leave for a vCenter · ``failures`` how that fails · ``inventory`` which hosts
and guests there are, and where each runs · ``gpus`` which guest holds which GPU · ``subjects`` of
what values are told, desktops of a pool together · ``counters`` which counter is which quantity ·
``query`` how samples are asked for · ``answers`` what an answer says, and what it leaves out ·
``totals`` bytes out of rates · ``places`` up to where samples were taken · ``polling`` one round of
requests · ``source`` the source.
"""
