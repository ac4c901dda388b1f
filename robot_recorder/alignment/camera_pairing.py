"""Find the CameraInfo topics that belong to a camera, by their names."""

from __future__ import annotations

from collections.abc import Iterable

from robot_recorder.alignment.command_pairing import nearest_topics


def info_topics(topic: str, infos: Iterable[str]) -> list[str]:
    """Return the CameraInfo topics nearest to a camera's topic; several if equally near; empty: none.

    They lie beside its pictures, or one level above, because of image transports.

    Args:
        topic: of the pictures.
        infos: topics of CameraInfo messages.
    """
    known = list(infos)
    parent = topic.rpartition("/")[0]
    for folder in (parent, parent.rpartition("/")[0]):
        near = [info for info in known if folder and info.rpartition("/")[0] == folder]
        if near:
            return nearest_topics(topic, near)
    return []
