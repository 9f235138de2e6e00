"""What the alignment, job and artifact pages show. Nothing in here knows of requests."""
