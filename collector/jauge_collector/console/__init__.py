"""The console: server-rendered pages, the JSON interface, /metrics and the health pages."""
