"""Proxmox VE: nodes, virtual machines and containers of clusters, by its JSON API over HTTPS.

``settings`` what a user writes · ``session`` the only way out, which reads · ``answers`` what the
API says, as values and identities · ``source`` the source.
"""
