"""What is measured while a training runs: an encoder by nearest neighbours and by its features, a generator by its
samples. Nothing is chosen by the numbers, and a run ends with the weights that it would have without."""
