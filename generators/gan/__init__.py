"""The GAN: networks, losses, augmentation of what the discriminator sees, and one training step."""

from .networks import GANDiscriminator, GANGenerator
from .trainer import GANTrainer

__all__ = ["GANDiscriminator", "GANGenerator", "GANTrainer"]
