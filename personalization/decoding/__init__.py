"""Better answers for more tokens, with nothing trained: choose among many, look ahead, tilt the next token.

Every policy says what it costs, and with nothing to go by gives what the model would have written anyway.
"""
