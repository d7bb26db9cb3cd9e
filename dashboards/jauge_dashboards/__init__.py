"""Grafana dashboards, alert rules and runbooks, generated from the catalogue of jauge_models."""

__version__ = "0.1.0"
