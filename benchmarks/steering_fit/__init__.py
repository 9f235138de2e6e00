"""How long it takes to fit personality vectors, beside the ways that fit each person and head anew."""
