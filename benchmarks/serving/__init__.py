"""`python -m benchmarks.serving`: the engine beside the others that serve adapters, in one run."""
