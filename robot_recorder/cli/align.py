"""The command ``align``: align a bag's streams into a table of frames."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json, number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.targets import make_folder
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.offline.align import Alignment


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.configuration.profile import LEAST_RATE_HZ, MOST_RATE_HZ

    positive = number(LEAST_RATE_HZ, MOST_RATE_HZ, above=True)
    parser.add_argument("episode", nargs="+", type=Path, help="bag directories, from any recorder")
    parser.add_argument(
        "--rate", type=positive, metavar="HZ", help="frames per second; default: the profile's"
    )
    parser.add_argument(
        "--reference", default="", metavar="STREAM",
        help="a frame at every sample of this stream or topic (with --rate: at most so many); "
        "'none': at a fixed rate",
    )  # fmt: skip
    parser.add_argument(
        "--profile", metavar="FILE", help="robot profile; default: the bag's own, or else a guess"
    )
    parser.add_argument(
        "--deadline-ms", type=positive, metavar="MS",
        help="how long to wait for late streams; default: the profile's",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help=".npz or .parquet file, or folder; default: .npz beside the bag",
    )  # fmt: skip
    parser.add_argument("--parquet", action="store_true", help="write Parquet instead of npz")
    add_json(parser, "print the certificate as JSON, one object per line and bag")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.dataset.export import exporters

    suffix = ".parquet" if options.parquet else ".npz"
    out: Path | None = options.out
    if out is not None and out.suffix not in exporters():
        if out.suffix and not out.is_dir():
            raise ConfigError(
                f"--out {out}: no exporter writes '{out.suffix}' and there is no such folder; "
                f"use {' or '.join(exporters())}, or make the folder first"
            )
        make_folder(out)
    elif out is not None and len(options.episode) > 1:
        raise ConfigError(f"--out {out} is one file for {len(options.episode)} bags; give a folder")
    worst, written = ExitCode.OK, set()
    for path in options.episode:
        target = out or path.resolve().with_name(f"{path.resolve().name}{suffix}")
        if target.is_dir():
            target = target / f"{path.resolve().name}{suffix}"
        try:
            if target in written:
                raise ConfigError(f"{path}: {target} was written for another bag of the same name")
            code = _align(path, target, options)
            written.add(target)
        except RecorderError as error:
            if len(options.episode) == 1:
                raise
            say_error(f"error: {error}")  # the others are aligned all the same
            code = ExitCode.FAILED
        worst = max(worst, code)
    return worst


def _align(path: Path, target: Path, options: argparse.Namespace) -> ExitCode:
    """Align one bag; return FINDING if it could not be read to its end or gave no frames."""
    from robot_recorder.cli.bag_alignment import aligned, plan_of
    from robot_recorder.cli.certificate_table import print_certificate
    from robot_recorder.dataset.export import export

    began = time.monotonic()
    episode, plan = plan_of(path, options.profile, options.deadline_ms)
    found = aligned(episode, plan, options.rate, options.reference)
    took = time.monotonic() - began
    export(found, target)
    code = ExitCode.FINDING if found.problem or not len(found.frames) else ExitCode.OK
    if options.json:
        say_json({"table": str(target), **found.certificate.to_dict()})
        return code
    if plan.guessed:
        say("the bag carries no robot profile; guessed one (robot-recorder profile guess)")
    for topic, why in sorted(plan.left_out.items()):
        say(f"left out: {topic}: {why}")
    for topic in plan.absent:
        say(f"not in the bag: {topic}")
    print_certificate(episode.id, found.certificate)
    for problem in filter(None, [found.problem, *_unused(found)]):
        say(f"  - {problem}")
    span_s = episode.metadata["duration"]["nanoseconds"] / 1e9
    say(
        f"{target}: {plural(len(found.frames), 'frame')} in {took:.2f} s, {span_s / took:.0f} x real time"
    )
    return code


def _unused(found: Alignment) -> list[str]:
    """Return a sentence for everything that could not be used."""
    sentences = [f"{stream}: {note}" for stream, notes in found.notes.items() for note in notes]
    if not len(found.frames):
        sentences.append("no frames: the aligned streams could not be put on one time axis")
    if found.skipped_ticks:
        sentences.append(
            f"{found.skipped_ticks} ticks left out: nothing arrived for more than 10 s"
        )
    for stream, counts in zip(found.streams, found.counts, strict=True):
        for what, count in (
            ("cannot be decoded", counts.undecodable),
            ("name more values than are kept of one stream", counts.mismatched),
            ("have stamps long after their receipt", counts.ahead),
            ("were received before the device's clock was known", counts.no_clock),
            ("were too many to keep", counts.overflow),
            ("arrived after their frame had left", counts.late),
            ("arrived after the deadline of their own tick: raise deadline_ms", counts.tickless),
        ):
            if count:
                sentences.append(f"{stream.name}: {count} samples {what}")
    return sentences


COMMAND = Command(
    name="align",
    summary="align a bag's streams into a table of frames (npz or Parquet)",
    examples=(
        "robot-recorder align EPISODE --rate 50",
        "robot-recorder align EPISODE --reference head_camera --out head.npz",
        "robot-recorder align /data/episodes/*_lift_box --parquet --out tables/",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
