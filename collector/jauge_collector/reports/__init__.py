"""The quarterly report: gathered once as data (`content`), then written as PDF, HTML, CSV, JSON."""
