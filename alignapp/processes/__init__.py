"""Start, watch and stop everything that alignapp is on one machine.

Knows nothing of what the processes do.
"""
