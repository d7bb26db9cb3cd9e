"""VMware's own simulator of a vCenter, built once per machine and started by tests."""
