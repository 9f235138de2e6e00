"""People who do not exist, for demonstrations and benchmarks: a hidden taste that rates real answers.

Learning never sees the taste, only the ratings it gives. Knows nothing of models or of the web.
"""
