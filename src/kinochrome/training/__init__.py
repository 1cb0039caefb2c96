"""Training of the methods' networks."""
