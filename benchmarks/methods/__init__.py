"""Which method learns most from which kind of feedback, on equal compute."""
