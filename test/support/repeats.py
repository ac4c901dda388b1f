"""Bags of repeats of one task."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import HEADER, IMAGE, JOINTS, NS, angle, joint_state, picture, wrench
from support.samples import T0, WRENCH


def repeat(
    path: Path,
    speed: float = 1.0,
    dropped_s: float = 99.0,
    astray: float = 0.0,
    seconds: float = 6.0,
) -> Path:
    """Write a bag of two joints, a force, and a camera.

    Args:
        path: of the bag.
        speed: of the whole movement.
        dropped_s: time from which the force is gone.
        astray: offset of the first joint in the second half, rad.
        seconds: length.
    """
    topics = {"/joint_states": JOINTS, "/wrist/wrench": WRENCH, "/camera/image/compressed": IMAGE}
    channels = {
        t: Channel(BagTopic(t, kind, (OfferedQos(),), "", HEADER)) for t, kind in topics.items()
    }
    samples = []
    for i in range(int(seconds * 50)):
        at = i / 50
        stamp = T0 + round(at * NS)
        a = float(angle(at * speed)) + astray * (at > seconds / 2)
        samples.append(
            Sample(
                channels["/joint_states"],
                joint_state(stamp, a, float(angle(at * speed + 1))),
                stamp,
                stamp,
            )
        )
        force = 20.0 if 1 < at * speed < 5 and at < dropped_s else 0.0
        samples.append(Sample(channels["/wrist/wrench"], wrench(stamp, force), stamp + 1000, stamp))
        if i % 5 == 0:
            samples.append(
                Sample(
                    channels["/camera/image/compressed"],
                    picture(stamp, at * speed),
                    stamp + 2000,
                    stamp,
                )
            )
    writer = McapWriter()
    writer.open(path, {})
    for channel in channels.values():
        writer.add_topic(channel)
    writer.write(samples)
    writer.close()
    return path
