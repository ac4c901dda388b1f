"""Thumbnail, report and comparison as files, for pages that show them."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.model.errors import RecorderError

_THUMBNAIL = 320  # pixels wide


def make_thumbnail(episode: Path, target: Path) -> None:
    """Write a small picture of the middle of an episode, by its first camera.

    Raises:
        RecorderError: it has no picture that can be read.
    """
    from robot_recorder.content.contents import Contents
    from robot_recorder.content.image_files import shrunk
    from robot_recorder.messages.kinds import Sort
    from robot_recorder.model.errors import DecodeError

    contents = Contents.open(episode)
    middle_s, why = contents.episode.duration_s / 2, "it has no camera"
    for topic in contents.topics:
        if topic.sort is not Sort.IMAGE or topic.unreadable:
            continue
        picture = None
        for batch in contents.batches([topic]):
            for images in batch.images:
                for number, time_s in enumerate(images.times_s.tolist()):
                    if picture is not None and time_s < middle_s:
                        continue
                    try:
                        picture = images.picture(number)
                    except DecodeError as error:
                        why = str(error)
                        continue
                    if time_s >= middle_s:
                        target.write_bytes(shrunk(picture, _THUMBNAIL).data)
                        return
        if picture is not None:
            target.write_bytes(shrunk(picture, _THUMBNAIL).data)
            return
    raise RecorderError(f"{episode.name}: {why}")


def make_report(episode: Path, target: Path) -> None:
    """Write the report of an episode.

    Raises:
        RecorderError: it cannot be read.
    """
    from robot_recorder.content.contents import Contents
    from robot_recorder.content.series import load
    from robot_recorder.report.html import write_html

    write_html(load(Contents.open(episode)), target)


def make_comparison(episodes: list[Path], target: Path) -> None:
    """Draw several episodes over each other.

    Raises:
        RecorderError: one cannot be read.
    """
    from robot_recorder.report.compare import compare
    from robot_recorder.report.compare_picture import draw_comparison

    draw_comparison(compare(episodes), target)
