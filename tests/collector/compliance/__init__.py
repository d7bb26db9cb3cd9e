"""Tests of the compliance record of a site."""
