"""Who may use the admin API, for what, how often, and from where."""
