"""How near a model comes to what 150 real people answered: `python -m benchmarks.papi`."""
