"""What the program runs on: memory, devices, precision, and the processes that work together."""
