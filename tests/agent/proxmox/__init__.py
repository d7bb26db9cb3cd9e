"""The proxmox source against the API's answers, served over HTTPS."""
