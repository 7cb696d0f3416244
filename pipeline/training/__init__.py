"""Training: of an encoder in any regime, one step of it, and of a generator before that."""
