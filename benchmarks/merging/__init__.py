"""Does a merge serve several goals at once? Merged adapters against one that is trained on all their data."""
