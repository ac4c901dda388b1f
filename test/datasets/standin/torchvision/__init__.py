"""A stand-in for torchvision: only what LeRobot's dataset and its ACT policy use of it.

The index's torchvision does not load beside the torch that installs here. What decodes video is PyAV,
as in torchvision; the networks are small and untrained.
"""

from . import io, models, ops, transforms

__all__ = ["io", "models", "ops", "set_video_backend", "transforms"]


def set_video_backend(backend: str) -> None:
    """Accept the only backend that there is.

    Raises:
        ValueError: for any other than "pyav".
    """
    if backend != "pyav":
        raise ValueError(f"the stand-in for torchvision reads video with pyav, not with {backend}")
