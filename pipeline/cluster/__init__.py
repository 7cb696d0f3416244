"""Work on a Ray cluster: the connection, workers, and a pool that hands items of work to whichever is free."""
