"""The base of transforms; LeRobot derives its augmentations from it when it is imported."""

from __future__ import annotations

from typing import Any

from torch import nn

from . import functional

__all__ = ["Identity", "Transform", "functional"]


class Transform(nn.Module):
    """A module without parameters."""


class Identity(Transform):
    """Returns what it is given."""

    def forward(self, x: Any) -> Any:
        return x
