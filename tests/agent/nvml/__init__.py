"""Tests of the nvml source."""
