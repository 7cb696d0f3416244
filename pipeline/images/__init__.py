"""Image files: decoding and encoding them, what their headers say, and grids of images as pictures.

The modules are imported one by one (`from ..images.decoding import decode_images`): the encoder processes need
`encoding` and `png`, which import no torch.
"""
