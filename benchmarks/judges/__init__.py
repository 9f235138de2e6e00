"""Reward models of several people: accuracy and calibration, on public comparisons and simulated people."""
