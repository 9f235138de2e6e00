"""Data in and out: one neutral record, files read row by row, rows written with what was left out and why.

Knows nothing of single formats (`personalization.formats` has one file for each), of forms or of tables.
"""
