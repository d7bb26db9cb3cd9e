"""Tests of the mqtt source."""
