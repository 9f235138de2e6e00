"""How fast many people's adapters train together, beside one after the other here and with TRL."""
