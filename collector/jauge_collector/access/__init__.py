"""Who may see and do what: roles, scopes, tenants, tokens, sessions, and the record of changes."""
