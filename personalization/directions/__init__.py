"""Value directions: what makes a base model write as a stated value asks, learned from its own samples.

Made once for each base model, by `manage.py values build`. Knows nothing of people or of the web.
"""
