"""Tests of the quarterly report."""
