"""Residual encoders: torchvision's, without their classifier, with a stem that suits the image size.

Images (N, 3, S, S) to features (N, F); F is `num_features`. The names in the state dict are torchvision's.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet

SMALL_IMAGE_SIZE = 64
"""Up to this size the stem keeps the resolution. CIFAR's 32 is published (arXiv 2002.05709, appendix B.9); that 64 is
treated alike is ours: the ImageNet stem would leave 2 x 2 positions for the last stage."""


class ResNet(resnet.ResNet):
    """torchvision's residual net without classifier, at any width.

    Args:
        block: torchvision's `BasicBlock` or `Bottleneck`.
        num_blocks: blocks in each of the four stages.
        image_size: pixels a side; decides on the stem.
        width: channels of the first stage, which the others double. 64 is the published one.
    """

    num_features: int

    def __init__(
        self,
        block: type[resnet.BasicBlock] | type[resnet.Bottleneck],
        num_blocks: tuple[int, int, int, int],
        *,
        image_size: int,
        width: int,
    ) -> None:
        self._width = width
        super().__init__(block, list(num_blocks), num_classes=1)
        self.fc = nn.Identity()
        self.num_features = 8 * width * block.expansion
        small = image_size <= SMALL_IMAGE_SIZE
        if small:
            self.maxpool = nn.Identity()
        if small or width != 64:
            self.conv1 = _small_stem(width) if small else _imagenet_stem(width)
            self.bn1 = nn.BatchNorm2d(width)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:  # the first stage follows the stem
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // 64, blocks, stride, dilate)


def resnet10(*, image_size: int, width: int = 64) -> ResNet:
    """One basic block a stage: ours, for tests and demonstrations on a CPU."""
    return ResNet(resnet.BasicBlock, (1, 1, 1, 1), image_size=image_size, width=width)


def resnet18(*, image_size: int, width: int = 64) -> ResNet:
    """ResNet-18 (He et al. 2016, arXiv 1512.03385, table 1)."""
    return ResNet(resnet.BasicBlock, (2, 2, 2, 2), image_size=image_size, width=width)


def resnet34(*, image_size: int, width: int = 64) -> ResNet:
    """ResNet-34 (He et al. 2016, arXiv 1512.03385, table 1)."""
    return ResNet(resnet.BasicBlock, (3, 4, 6, 3), image_size=image_size, width=width)


def resnet50(*, image_size: int, width: int = 64) -> ResNet:
    """ResNet-50 (He et al. 2016, arXiv 1512.03385, table 1), with torchvision's place for the stride."""
    return ResNet(resnet.Bottleneck, (3, 4, 6, 3), image_size=image_size, width=width)


def _small_stem(width: int) -> nn.Conv2d:
    return _initialised(nn.Conv2d(3, width, kernel_size=3, stride=1, padding=1, bias=False))


def _imagenet_stem(width: int) -> nn.Conv2d:
    return _initialised(nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False))


def _initialised(convolution: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
