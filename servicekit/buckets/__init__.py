"""Buckets and windows as they stand in Redis: what the service that takes from them and the control plane that looks
at them agree on. Arithmetic, names of keys, and the script; nothing here opens a connection.
"""
