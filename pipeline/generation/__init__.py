"""Samples of a generator: `synthcl generate` and `preview`, and how a generator is opened and draws."""
