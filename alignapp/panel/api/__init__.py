"""The operator API, `/operate/api/v1`: what the panel shows and does, for programs."""
