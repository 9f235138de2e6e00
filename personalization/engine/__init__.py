"""Serve steered generations to many people at once.

Importing this package imports no torch: `requests` is plain data that a web process may use.
"""
