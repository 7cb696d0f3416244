"""Samples of a generator, and how one is opened and draws: `synthcl generate`, also on Ray and Slurm, and `preview`."""
