"""Runs of `pretrain` and `train`: the folder, the loop, its checkpoints, trackers, and a look at what is there."""
