"""Contrastive training, the same for every regime: its parts, one step of it, and `synthcl train`."""
