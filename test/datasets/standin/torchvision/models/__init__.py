"""A residual network with the layers of torchvision's ResNet-18, an eighth as wide and half as deep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from . import _utils

__all__ = ["ResNet", "_utils", "resnet18"]


class Block(nn.Module):
    """Two convolutions beside a shortcut: (batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], Any]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm(outputs),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu()


class ResNet(nn.Sequential):
    """(batch, 3, h, w) to 1000 scores; ``layer4`` gives (batch, 64, h / 32, w / 32)."""

    def __init__(self, norm: Callable[[int], Any]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = norm(8)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Block(8, 8, 1, norm)
        self.layer2 = Block(8, 16, 2, norm)
        self.layer3 = Block(16, 32, 2, norm)
        self.layer4 = Block(32, 64, 2, norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 1000)


def resnet18(
    *,
    weights: None = None,
    norm_layer: Callable[[int], Any] = nn.BatchNorm2d,
    replace_stride_with_dilation: Sequence[bool] = (False, False, False),
) -> ResNet:
    """Make an untrained network.

    Raises:
        ValueError: for trained weights or dilation, which the stand-in lacks.
    """
    if weights is not None or any(replace_stride_with_dilation):
        raise ValueError("the stand-in for torchvision has no trained weights and no dilation")
    return ResNet(norm_layer)
