"""Shares of a limit, leased to Envoys that count by themselves: the server of ``rate_limit_quota`` (RLQS)."""
