"""The regimes: where the images of a training batch come from."""
