"""Generation by a vLLM server: `client` is the engine of a worker, everything else is the server's half.

The two halves run in environments of their own and share the artifact store, `names` and a key.
"""
