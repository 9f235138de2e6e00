"""One file per format: how its rows become neutral records and back. Found by scanning, as methods are."""
