"""How far a vector moves a model along a trait, and what it costs in general ability."""
