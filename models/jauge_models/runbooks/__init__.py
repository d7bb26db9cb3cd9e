"""The runbooks: one page an alert and language, ``<language>/<alert>.md``, as data of this package.

Both who writes the alert rules (`jauge_dashboards`) and who shows the pages (the collector's
console) read them from here; a test of the rules ties rules and pages one to one.
"""
