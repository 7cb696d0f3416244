"""Where the shards of a set are written beside this process: on a Ray cluster, or by an array of Slurm jobs."""
