"""The command ``export``: make a dataset for training from chosen episodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from robot_recorder.cli.arguments import Word, add_json, number, whole_number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_json

_MOST_SHARD_MB = 100_000.0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="*",
        help="folders of episodes, bags of any recorder, or s3://bucket/prefix; default: episodes",
    )
    parser.add_argument(
        "--out", metavar="PATH", help="folder of the new dataset, or s3://bucket/prefix"
    )
    parser.add_argument(
        "--update", metavar="PATH",
        help="bring this dataset up to date with its sources, or the ones given",
    )  # fmt: skip
    parser.add_argument("--lock", metavar="FILE", help="make the dataset of this lock file again")
    _add_selection(parser.add_argument_group("which episodes"))
    _add_content(parser.add_argument_group("what of them"))
    _add_form(parser.add_argument_group("in which form"))
    _add_work(parser.add_argument_group("how it is done"))
    add_json(parser, "print what was done, or would be, as JSON")


def _add_selection(group: argparse._ArgumentGroup) -> None:
    from robot_recorder.cli.filters import add_filter
    from robot_recorder.dataset.selection import Balance
    from robot_recorder.model.labels import Outcome
    from robot_recorder.quality.verdict import Verdict

    outcome, verdict, balance = _OrAny(Outcome), _OrAny(Verdict), Word(Balance)
    add_filter(group)
    group.add_argument(
        "--outcome", action="append", type=outcome, metavar="OUTCOME",
        help=f"{outcome}; default: all but failure",
    )  # fmt: skip
    group.add_argument(
        "--verdict", action="append", type=verdict, metavar="VERDICT",
        help=f"{verdict}; default: all but reject",
    )  # fmt: skip
    group.add_argument(
        "--annotation",
        action="append",
        default=[],
        metavar="NAME",
        help="that have this annotation",
    )
    group.add_argument(
        "--exclude", action="append", default=[], metavar="ID", help="without this episode"
    )
    group.add_argument("--limit", type=whole_number(1), metavar="N", help="at most so many")
    group.add_argument(
        "--balance", type=balance, metavar="KEY", help=f"equally many of each: {balance}"
    )
    group.add_argument(
        "--selection", metavar="FILE", help="the bags that this file lists, a path on each line"
    )
    group.add_argument("--save-selection", metavar="FILE", help="write the chosen paths to a file")
    group.add_argument(
        "--split", default="", metavar="SHARES", help="as val=0.1,test=0.1; the rest is train"
    )
    group.add_argument("--seed", type=int, default=0, help="of --balance and --split; default: 0")


def _add_content(group: argparse._ArgumentGroup) -> None:
    from robot_recorder.configuration.profile import LEAST_RATE_HZ, MOST_RATE_HZ
    from robot_recorder.dataset.export_profile import ActionKind
    from robot_recorder.dataset.trimming import Held

    action, held = Word(ActionKind), Word(Held)
    group.add_argument(
        "--rate", type=number(LEAST_RATE_HZ, MOST_RATE_HZ, above=True), metavar="HZ",
        help="frames per second; default: the profile's",
    )  # fmt: skip
    group.add_argument(
        "--reference", default="", metavar="STREAM",
        help="a frame at every sample of this stream; 'none': at a fixed rate",
    )  # fmt: skip
    group.add_argument("--causal", action="store_true", help="take no sample after its frame")
    group.add_argument(
        "--action", type=action, metavar="KIND",
        help=f"what the action is: {action}; default: command",
    )  # fmt: skip
    group.add_argument(
        "--held", type=held, default=Held.KEEP, metavar="HOW",
        help=f"frames with held or missing streams: {held}; default: keep",
    )  # fmt: skip
    group.add_argument(
        "--trim", action="append", default=[], metavar="WHERE",
        help="'idle': without motion at both ends; or an annotation to begin and end with",
    )  # fmt: skip
    group.add_argument("--profile", metavar="FILE", help="export profile; default: all streams")
    group.add_argument("--write-profile", metavar="FILE", help="write the export profile, and stop")
    group.add_argument(
        "--robot-profile", default="", metavar="FILE",
        help="robot profile; default: the bag's own, or else a guess",
    )  # fmt: skip


def _add_form(group: argparse._ArgumentGroup) -> None:
    from robot_recorder.dataset.formats.table import formats
    from robot_recorder.dataset.video import VideoMode

    video = Word(VideoMode)
    names = "; ".join(f"{name}: {one.summary}" for name, one in formats().items())
    group.add_argument("--format", default="lerobot", metavar="NAME", help=names)
    group.add_argument(
        "--video", type=video, default=VideoMode.AUTO, metavar="HOW",
        help=f"{video}; auto copies pictures unchanged where it can",
    )  # fmt: skip
    group.add_argument(
        "--native",
        action="store_true",
        help="also every sample of every stream, where it can be held",
    )
    group.add_argument(
        "--shard-mb", type=number(1, _MOST_SHARD_MB), default=100.0, metavar="MB",
        help="size of the episodes in a shard; default: 100",
    )  # fmt: skip
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the format"
    )
    group.add_argument("--title", default="", metavar="TEXT", help="of the dataset's card")
    group.add_argument("--license", default="", metavar="TEXT", help="of the dataset, for its card")
    group.add_argument(
        "--no-operators", action="store_true", help="leave operators' names out everywhere"
    )
    group.add_argument(
        "--pseudonyms", metavar="FILE",
        help="replace operators' names; the file keeps who is who, and is made if it is missing",
    )  # fmt: skip


def _add_work(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dry-run", action="store_true", help="only say what would be exported")
    group.add_argument(
        "--workers", type=whole_number(1), metavar="N", help="processes; default: one a processor"
    )
    group.add_argument(
        "--on", default="", metavar="ADDRESS",
        help="run on Ray: 'ray' starts it here, or ray://host:port",
    )  # fmt: skip
    group.add_argument(
        "--cache", type=Path, metavar="PATH",
        help="where episodes from s3:// are kept, and datasets before they are sent",
    )  # fmt: skip


class _OrAny(Word):
    """One of several words, or ``any``, which is None."""

    def __call__(self, text: str) -> object:
        """Return the member that was typed."""
        return None if text == "any" else super().__call__(text)

    def __str__(self) -> str:
        return f"{super().__str__()}, any"


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.export_work import export_episodes

    return export_episodes(options)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=Path, help="a dataset, or its lock file")
    parser.add_argument("after", type=Path, help="another one")
    add_json(parser)


def _diff(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from robot_recorder.dataset.lock import difference, read_lock

    found = difference(read_lock(options.before), read_lock(options.after))
    if options.json:
        say_json(asdict(found))
    else:
        for path in found.added:
            say(f"added: {path}")
        for path, why in found.removed.items():
            say(f"removed: {path}: {why}")
        for path, what in found.changed.items():
            say(f"changed: {path}: {what}")
        for name, (before, after) in found.settings.items():
            say(f"setting {name}: {before!r} became {after!r}")
    same = not (found.added or found.removed or found.changed or found.settings)
    if same and not options.json:
        say("both hold the same episodes, exported in the same way")
    return ExitCode.OK if same else ExitCode.FINDING


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="a dataset of this exporter, or any LeRobot one")
    parser.add_argument("--thorough", action="store_true", help="decode pictures; read all values")
    add_json(parser, "print findings as JSON, one object per line")


def _verify(options: argparse.Namespace) -> int:
    from robot_recorder.cli.export_work import verify

    return verify(options)


COMMAND = Command(
    name="export",
    summary="make a dataset for training from chosen episodes",
    examples=(
        "robot-recorder export episodes --out dataset",
        "robot-recorder export /data/episodes --task lift_box --split val=0.1 --out lift",
        "robot-recorder export --update DATASET",
        "robot-recorder export /data/episodes --dry-run",
    ),
    details="A dataset directory appears when it is whole. What was interrupted goes on where it was.",
    add_arguments=_add_arguments,
    run=_run,
    actions=(
        Command(
            name="verify",
            summary="check a dataset, also a LeRobot dataset of anybody",
            examples=("robot-recorder export verify DATASET",),
            add_arguments=_add_verify,
            run=_verify,
        ),
        Command(
            name="diff",
            summary="say what changed from one dataset to another",
            examples=("robot-recorder export diff BEFORE AFTER",),
            add_arguments=_add_diff,
            run=_diff,
        ),
    ),
)
