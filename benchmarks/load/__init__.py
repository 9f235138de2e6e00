"""The whole application under load: fifty people on pages and API while adapters are trained."""
