"""Data in and out: seconds and memory of importing and exporting a large file."""
