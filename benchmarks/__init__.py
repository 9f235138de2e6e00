"""One command for each claim: `python -m benchmarks.NAME --json`, with the baseline in the same run."""
