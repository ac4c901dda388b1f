"""Sound datasets give no finding; each defect gives one that names it.

Holds also: columns.py, compare.py, episodes.py, findings.py, info.py, moments.py, reading.py, statistics.py, tables.py, tasks.py, videos.py.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
pa = pytest.importorskip("pyarrow")

from support.lerobot_sets import (
    CAMERA,
    DATA,
    EPISODES,
    IMAGES,
    LENGTHS,
    VIDEOS,
    LeRobotSet,
    changed_table,
    stats_of,
    video,
    write_words,
)

from robot_recorder.dataset.verify.findings import Finding
from robot_recorder.dataset.verify.lerobot import verify_lerobot

Plant = Callable[[LeRobotSet], object]
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
CLIP = f"videos/{CAMERA}"
PLANTS: list[Any] = []


def plant(told: str, where: str = "", fatal: bool = True, others: int = 0, version: str = "v3.0",
          thorough: bool = False) -> Callable[[Plant], Plant]:  # fmt: skip
    """Register a defect, named after its function.

    Args:
        told: what the finding says.
        where: what it names.
        fatal: whether it is.
        others: how many findings more there may be.
        version: of the dataset.
        thorough: only then it is found.
    """

    def register(change: Plant) -> Plant:
        name = change.__name__.replace("_", " ")
        PLANTS.append(pytest.param(change, told, where, fatal, others, version, thorough, id=name))
        return change

    return register


def read(root: Path) -> list[Finding]:
    return verify_lerobot(root)


# -- sound ones


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_a_sound_dataset_gives_no_finding(tmp_path: Path, version: str, thorough: bool) -> None:
    assert verify_lerobot(LeRobotSet(version).write(tmp_path / "set"), thorough) == []


def test_pictures_in_tables_are_sound(tmp_path: Path) -> None:
    assert read(LeRobotSet(pictures_in_tables=True).write(tmp_path / "set")) == []


def test_missing_values_are_left_out_of_statistics(tmp_path: Path) -> None:
    made = LeRobotSet()
    made.tables[DATA[0]]["action"][1] = [math.nan, 1.0]
    made.compute_stats()
    assert read(made.write(tmp_path / "exact")) == []
    weights = np.array(LENGTHS) / sum(LENGTHS)
    means = np.array([row["stats/action/mean"] for row in made.episodes])
    stds = np.array([row["stats/action/std"] for row in made.episodes])
    mean = weights @ means
    deviation = np.sqrt(weights @ (stds**2 + (means - mean) ** 2))
    made.stats["action"] |= {"mean": mean.tolist(), "std": deviation.tolist()}
    assert read(made.write(tmp_path / "as LeRobot joins episodes")) == []


def test_statistics_over_the_last_dimension_are_sound(tmp_path: Path) -> None:
    made = LeRobotSet()
    made.stats["grid"] = stats_of(
        np.concatenate([made.values(n)["grid"] for n in range(4)]).reshape(-1, 2), 22
    )
    assert read(made.write(tmp_path / "set")) == []


def test_numbers_of_rows_are_left_as_they_were_by_tools_of_lerobot(tmp_path: Path) -> None:
    made = LeRobotSet()
    for row in made.episodes:
        row["stats/index/mean"] = row["stats/index/max"] = [7000.0]
    made.stats["index"] |= {"mean": [7000.0], "max": [7000.0]}
    assert read(made.write(tmp_path / "set")) == []


def test_one_frame_is_an_episode(tmp_path: Path) -> None:
    made = LeRobotSet()
    made.episodes = made.episodes[:1]
    made.tables = {DATA[0]: {name: values[:1] for name, values in made.tables[DATA[0]].items()}}
    made.episodes[0] |= {"length": 1, "dataset_to_index": 1, f"{CLIP}/to_timestamp": 0.1}
    made.videos = {VIDEOS[0]: video(1)}
    made.info |= {"total_episodes": 1, "total_frames": 1, "splits": {}}
    made.compute_stats()
    assert verify_lerobot(made.write(tmp_path / "set"), thorough=True) == []


def test_pictures_that_are_sent_out_of_order_are_sound(tmp_path: Path) -> None:
    made = LeRobotSet()
    made.videos = {VIDEOS[0]: video(15, ahead=2), VIDEOS[1]: video(7, ahead=2)}
    assert verify_lerobot(made.write(tmp_path / "set"), thorough=True) == []


def test_progress_is_told_by_files(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    verify_lerobot(LeRobotSet().write(tmp_path / "set"), told=lambda *args: told.append(args))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# -- defects of info


@plant("it is missing", INFO)
def no_info(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / INFO).unlink())


@plant("it is no JSON", INFO)
def a_truncated_info(made: LeRobotSet) -> None:
    made.then.append(lambda root: cut(root / INFO))


@plant("it is no object", INFO)
def an_info_that_is_a_list(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / INFO).write_text("[]"))


@plant("codebase_version is 'v1.6'", INFO)
def a_version_that_nobody_reads(made: LeRobotSet) -> None:
    made.info["codebase_version"] = "v1.6"


@plant("fps is 0", INFO)
def no_rate(made: LeRobotSet) -> None:
    made.info["fps"] = 0


@plant("chunks_size is -1, not a number of files", INFO)
def a_negative_number_of_files(made: LeRobotSet) -> None:
    made.info["chunks_size"] = -1


@plant("total_episodes is 5, but there are 4", INFO)
def an_episode_counted_too_many(made: LeRobotSet) -> None:
    made.info["total_episodes"] = 5


@plant("total_frames is 21, but there are 22", INFO)
def a_frame_counted_too_few(made: LeRobotSet) -> None:
    made.info["total_frames"] = 21


@plant("total_tasks is None, but there are 2", INFO)
def tasks_that_are_not_counted(made: LeRobotSet) -> None:
    del made.info["total_tasks"]


@plant("splits name episodes beyond the last, 3", INFO, fatal=False)
def a_split_beyond_the_last_episode(made: LeRobotSet) -> None:
    made.info["splits"] = {"train": "0:9"}


@plant("feature action has no known dtype", INFO, others=2)
def a_feature_without_shape(made: LeRobotSet) -> None:
    del made.info["features"]["action"]["shape"]


@plant("there is no feature task_index", INFO, others=9)
def no_feature_of_tasks(made: LeRobotSet) -> None:
    del made.info["features"]["task_index"]


@plant("names no file", INFO, others=2)
def a_path_that_leaves_the_dataset(made: LeRobotSet) -> None:
    made.info["data_path"] = "../data/{chunk_index}"


@plant("the name of feature a/b has a slash", INFO, others=4)
def a_feature_with_a_slash(made: LeRobotSet) -> None:
    made.info["features"]["a/b"] = made.info["features"]["action"]


@plant("its shape is [4] in info.json, but 2 in the table", f"action in {DATA[0]}", others=2)
def another_shape_than_the_table(made: LeRobotSet) -> None:
    made.info["features"]["action"]["shape"] = [4]


@plant("its shape is [1] in info.json, but 2 in the table", "action", others=2)
def a_list_instead_of_a_number(made: LeRobotSet) -> None:
    made.info["features"]["action"]["shape"] = [1]


@plant("its dtype is int64 in info.json, but float32 in the table", "action")
def whole_numbers_that_are_none(made: LeRobotSet) -> None:
    made.info["features"]["action"]["dtype"] = "int64"


@plant("its dtype is float64 in info.json, but float32 in the table", "action", fatal=False)
def another_precision_than_the_table(made: LeRobotSet) -> None:
    made.info["features"]["action"]["dtype"] = "float64"


@plant("rows are not of shape [2]", f"action in {DATA[0]}")
def rows_of_different_lengths(made: LeRobotSet) -> None:
    made.types["action"] = pa.list_(pa.float32())
    made.tables[DATA[0]]["action"][3] = [1.0, 2.0, 3.0]


@plant("the column is missing", f"open in {DATA[1]}")
def a_column_that_one_table_lacks(made: LeRobotSet) -> None:
    del made.tables[DATA[1]]["open"]


@plant("info.json describes no column secret", DATA[0])
def a_column_that_nobody_described(made: LeRobotSet) -> None:
    made.types["secret"] = pa.int64()
    for columns in made.tables.values():
        columns["secret"] = [0] * len(columns["index"])


# -- defects of tasks


@plant("it is missing", TASKS, others=1)
def no_tasks(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / TASKS).unlink())


@plant("its footer is missing", TASKS)
def tasks_without_footer(made: LeRobotSet) -> None:
    made.then.append(lambda root: cut(root / TASKS))


@plant("the sentences are not its pandas index", TASKS)
def tasks_that_are_no_index(made: LeRobotSet) -> None:
    made.then.append(
        lambda root: write_words(root / TASKS, "task", made.tasks, "task", indexed=False)
    )


@plant("it has not the columns task_index and task", TASKS)
def tasks_without_sentences(made: LeRobotSet) -> None:
    made.then.append(lambda root: write_words(root / TASKS, "task", made.tasks, "other"))


@plant("task_index is 0, 5 instead of 0, 1, 2", TASKS)
def tasks_with_a_gap(made: LeRobotSet) -> None:
    made.then.append(
        lambda root: changed_table(root / TASKS, lambda c: c.update(task_index=[0, 5]))
    )


@plant("a task is there twice", TASKS, others=2)
def a_task_that_is_there_twice(made: LeRobotSet) -> None:
    made.tasks[1] = made.tasks[0]


@plant("task_index in episode 2 is none of 2 tasks: row 12 has 2", DATA[1])
def a_row_of_an_unknown_task(made: LeRobotSet) -> None:
    made.tables[DATA[1]]["task_index"][1] = 2


@plant("rows of episode 0 have other tasks than the list of episodes says: lift the cup instead",
       fatal=False)  # fmt: skip
def an_episode_with_the_task_of_another(made: LeRobotSet) -> None:
    made.episodes[0]["tasks"] = ["lower the cup"]


# -- defects of tables


@plant("its footer is missing: its writer was stopped", DATA[1])
def a_table_whose_writer_was_killed(made: LeRobotSet) -> None:
    made.then.append(lambda root: cut(root / DATA[1]))


@plant("its footer is missing", DATA[0])
def an_empty_table(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / DATA[0]).write_bytes(b""))


@plant("rows cannot be read", DATA[1])
def a_table_with_a_damaged_page(made: LeRobotSet) -> None:
    def damage(root: Path) -> None:
        data = bytearray((root / DATA[1]).read_bytes())
        data[4:60] = b"\xff" * 56
        (root / DATA[1]).write_bytes(data)

    made.then.append(damage)


@plant("the table of episodes 2, 3 is missing", DATA[1], others=3)
def a_table_that_is_missing(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / DATA[1]).unlink())


@plant(
    "it has not as many rows as the episodes that name it: 11 instead of 0",
    "data/chunk-000/file-002.parquet",
    others=6,
)
def a_table_that_nobody_names(made: LeRobotSet) -> None:
    made.then.append(
        lambda root: shutil.copy(root / DATA[0], root / "data/chunk-000/file-002.parquet")
    )


@plant("index does not count on from the row before in episode 1: row 6 has 7 instead", DATA[0],
       others=1)  # fmt: skip
def a_gap_in_the_index(made: LeRobotSet) -> None:
    for name, columns in made.tables.items():
        after = 6 if name == DATA[0] else 0
        columns["index"] = [n + (at >= after) for at, n in enumerate(columns["index"])]


@plant("row 2 has 1 instead of 2", DATA[0], others=0)
def a_frame_index_that_repeats(made: LeRobotSet) -> None:
    columns = made.tables[DATA[0]]
    columns["frame_index"][2] = 1
    columns["timestamp"][2] = 0.1
    made.compute_stats()


@plant("timestamp is not frame_index / 10 in episode 1: row 8 has 0.302 instead of 0.3", DATA[0])
def a_time_of_the_clock(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["timestamp"][8] = 0.302
    made.compute_stats()


@plant("the rows of episode 1 are in no table", others=3)
def rows_that_carry_the_number_of_another_episode(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["episode_index"] = [0] * 11


@plant("it holds rows of episode 9, which the list of episodes has not", DATA[0], others=5)
def rows_of_a_deleted_episode(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["episode_index"][5:] = [9] * 6


@plant("rows of episode 0 are in two places", DATA[0], others=9)
def rows_that_are_not_together(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["episode_index"][10] = 0


@plant("rows are empty", f"frame_index in {DATA[0]}", others=9)
def an_empty_number(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["frame_index"][4] = None
    made.stats["frame_index"], made.episodes[0]["stats/frame_index/mean"] = {}, None


def test_pictures_of_which_only_the_path_is_stored_are_found(tmp_path: Path) -> None:
    made = LeRobotSet(pictures_in_tables=True)
    made.tables[DATA[0]][IMAGES][3] = {"bytes": None, "path": "/tmp/3.png"}
    (found,) = read(made.write(tmp_path / "set"))
    assert (
        found.where == f"{IMAGES} in {DATA[0]}"
        and found.what.endswith("at most its path: 1 rows")
        and found.fatal
    )


# -- defects of the list of episodes


@plant("there is no list of episodes", "meta/episodes")
def no_list_of_episodes(made: LeRobotSet) -> None:
    made.then.append(lambda root: shutil.rmtree(root / "meta/episodes"))


@plant("its footer is missing", EPISODES)
def a_list_whose_writer_was_killed(made: LeRobotSet) -> None:
    made.then.append(lambda root: cut(root / EPISODES))


@plant("it has no column length", EPISODES)
def a_list_without_lengths(made: LeRobotSet) -> None:
    for row in made.episodes:
        del row["length"]


@plant(f"it has no column {CLIP}/from_timestamp", EPISODES, others=1)
def a_list_without_times(made: LeRobotSet) -> None:
    for row in made.episodes:
        del row[f"{CLIP}/from_timestamp"]


@plant(f"{CLIP}/chunk_index is empty for episode 2", EPISODES, others=9)
def an_episode_whose_video_was_never_encoded(made: LeRobotSet) -> None:
    for name in ("chunk_index", "file_index", "from_timestamp", "to_timestamp"):
        made.episodes[2][f"{CLIP}/{name}"] = None


@plant("data/file_index holds double, not whole numbers", EPISODES)
def places_that_are_no_whole_numbers(made: LeRobotSet) -> None:
    for row in made.episodes:
        row["data/file_index"] = float(row["data/file_index"])


@plant("episode_index is not 0, 1, 2 in the order of rows: row 1 has 2", others=2)
def a_list_in_another_order(made: LeRobotSet) -> None:
    made.episodes[1:3] = made.episodes[2:0:-1]


@plant(
    "the length of episode 1 is not its number of rows: of 1 there are 6 rows, but the list says 7",
    DATA[0],
    others=5,
)
def a_length_that_is_not_the_number_of_rows(made: LeRobotSet) -> None:
    made.episodes[1]["length"] = 7


@plant("it has not as many rows as the episodes that name it: 11 instead of 12", DATA[0], others=5)
def a_table_with_too_few_rows(made: LeRobotSet) -> None:
    made.episodes[1]["length"] = 7


@plant("there are no frames of episode 1", others=6)
def an_episode_without_frames(made: LeRobotSet) -> None:
    made.episodes[1]["length"] = 0


@plant(
    "dataset_to_index of episode 2 do not add up the lengths: 12 to 15 for 4 frames after 11",
    others=1,
)
def a_first_index_that_is_one_off(made: LeRobotSet) -> None:
    made.episodes[2]["dataset_from_index"] = 12


@plant("episode 2 is not in the table that the list says: 2 is in data/chunk-000/file-001",
       others=2)  # fmt: skip
def an_episode_said_to_be_in_the_file_before(made: LeRobotSet) -> None:
    made.episodes[2]["data/file_index"] = 0


@plant("the table of episode 3 is missing", "data/chunk-000/file-007.parquet", others=2)
def a_merged_dataset_that_names_a_table_which_is_not_there(made: LeRobotSet) -> None:
    made.episodes[3]["data/file_index"] = 7


@plant("the video of episode 3 is missing", f"{CLIP}/chunk-000/file-007.mp4", others=1)
def a_merged_dataset_that_names_a_video_which_is_not_there(made: LeRobotSet) -> None:
    made.episodes[3][f"{CLIP}/file_index"] = 7


@plant("to_timestamp of episode 1 do not fit the length: 0.5000 to 1.0000 s is not 6 frames",
       CAMERA)  # fmt: skip
def a_last_time_that_counts_intervals(made: LeRobotSet) -> None:
    made.episodes[1][f"{CLIP}/to_timestamp"] -= 0.1


@plant("episodes 1, 2 share pictures: 1 ends at 1.1000 s, 2 starts at 0.9000 s", CAMERA)
def episodes_that_share_pictures(made: LeRobotSet) -> None:
    for name in ("from_timestamp", "to_timestamp"):
        made.episodes[2][f"{CLIP}/{name}"] -= 0.2


@plant("it ends before episode 3 does: at 0.7000 s", VIDEOS[1])
def times_that_count_on_in_the_next_video(made: LeRobotSet) -> None:
    made.episodes[3][f"{CLIP}/from_timestamp"] += 1.5
    made.episodes[3][f"{CLIP}/to_timestamp"] += 1.5


@plant(
    "it has no pictures at the times of episode 1: at 0.5300 s the nearest is 0.0300 s away",
    VIDEOS[0],
    others=1,
)
def times_between_pictures(made: LeRobotSet) -> None:
    for name in ("from_timestamp", "to_timestamp"):
        made.episodes[1][f"{CLIP}/{name}"] += 0.03 if name.startswith("from") else 0.025


# -- defects of videos


@plant("the video of episode 3 is missing", VIDEOS[1])
def a_video_that_is_missing(made: LeRobotSet) -> None:
    del made.videos[VIDEOS[1]]


@plant("it cannot be read", VIDEOS[0])
def a_video_without_its_index(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = made.videos[VIDEOS[0]][:600]


@plant("it cannot be read", VIDEOS[0])
def an_empty_video(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = b""


@plant(
    "it has fewer pictures than it needs for episodes 0, 1, 2: 14 instead of 15",
    VIDEOS[0],
    others=1,
)
def a_video_with_a_picture_too_few(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = video(14)


@plant(
    "it has more pictures than it needs for episodes 0, 1, 2: 16 instead of 15",
    VIDEOS[0],
    fatal=False,
)
def a_video_with_a_picture_that_nobody_names(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = video(16)


@plant(
    "its pictures are not 1/10 s apart: picture 1 comes 0.0400 s after the one before",
    VIDEOS[0],
    others=1,
)
def a_video_at_another_rate(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = video(15, rate=25)


@plant("it is 32 x 16 pixels, but 64 x 48 in info.json", f"{CAMERA} in {VIDEOS[1]}")
def a_video_of_another_size(made: LeRobotSet) -> None:
    made.videos[VIDEOS[1]] = video(7, size=(32, 16))


@plant(
    "its codec is h264, but av1 in info.json",
    f"{CAMERA} in {VIDEOS[0]}, {CAMERA} in {VIDEOS[1]}",
    fatal=False,
)
def a_video_in_another_codec(made: LeRobotSet) -> None:
    made.info["features"][CAMERA]["info"]["video.codec"] = "av1"


@plant("no episode names this video", "file-009.mp4", fatal=False)
def a_video_that_nobody_names(made: LeRobotSet) -> None:
    made.videos[f"{CLIP}/chunk-000/file-009.mp4"] = video(7)


@plant("pictures were left that are in no video", "images", fatal=False)
def pictures_that_a_crash_left(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / "images" / CAMERA / "episode-000004").mkdir(parents=True))


@plant("not all of its pictures can be decoded: 13 of 15", VIDEOS[0], others=2, thorough=True)
def a_picture_that_cannot_be_decoded(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = damaged(made.videos[VIDEOS[0]], 4)


@plant("the last picture of episode 0 cannot be decoded", VIDEOS[0], others=2, thorough=True)
def a_last_picture_that_cannot_be_decoded(made: LeRobotSet) -> None:
    made.videos[VIDEOS[0]] = damaged(made.videos[VIDEOS[0]], 4)


@plant("the first picture of episode 3 cannot be decoded", VIDEOS[1], others=2, thorough=True)
def a_first_picture_that_cannot_be_decoded(made: LeRobotSet) -> None:
    made.videos[VIDEOS[1]] = damaged(made.videos[VIDEOS[1]], 0)


# -- defects of statistics


@plant("it is missing", STATS)
def no_statistics(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / STATS).unlink())


@plant("there are no statistics", f"{CAMERA} in {STATS}")
def a_camera_without_statistics(made: LeRobotSet) -> None:
    del made.stats[CAMERA]


@plant("there is no std", f"action in {STATS}")
def statistics_without_deviation(made: LeRobotSet) -> None:
    del made.stats["action"]["std"]


@plant("they are no numbers", f"action in {STATS}")
def statistics_that_are_no_numbers(made: LeRobotSet) -> None:
    made.stats["action"]["mean"] = ["a", None]


@plant("there is no count", f"action in {STATS}")
def statistics_that_cannot_be_joined(made: LeRobotSet) -> None:
    del made.stats["action"]["count"]


@plant("there are 2, 3 values", f"action in {STATS}")
def statistics_of_another_width(made: LeRobotSet) -> None:
    made.stats["action"]["mean"] = [0.0, 0.0, 0.0]


@plant("mean is above max", f"action in {STATS}")
def a_mean_above_all_values(made: LeRobotSet) -> None:
    made.stats["action"]["mean"][0] = 100.0


@plant("q10 is above q50", f"action in {STATS}")
def quantiles_in_the_wrong_order(made: LeRobotSet) -> None:
    stats = made.stats["action"]
    stats["q10"], stats["q50"] = stats["q50"], stats["q10"]


@plant("count is 29.0, but there are 22 frames: they are of other episodes", f"action in {STATS}")
def statistics_over_deleted_episodes(made: LeRobotSet) -> None:
    made.stats["action"]["count"] = [29]


@plant("mean of channel 1 is", f"action in {STATS}")
def a_mean_of_other_data(made: LeRobotSet) -> None:
    made.stats["action"]["mean"][1] += 0.05


@plant("min of channel 0 is", f"action in {STATS}")
def a_least_value_that_is_not_there(made: LeRobotSet) -> None:
    made.stats["action"]["min"][0] -= 1.0


@plant("max of channel 0 is", f"observation.state in {STATS}")
def a_greatest_value_that_is_not_there(made: LeRobotSet) -> None:
    made.stats["observation.state"]["max"][0] += 1.0


@plant("std of channel 0 is", f"action in {STATS}")
def a_deviation_of_other_data(made: LeRobotSet) -> None:
    made.stats["action"]["std"][0] *= 1.01


@plant("std of channel 0 is 0, but", f"action in {STATS}", fatal=False)
def a_deviation_lost_to_single_precision(made: LeRobotSet) -> None:
    for number, columns in enumerate(made.tables.values()):
        columns["action"] = [[1000.0 + 0.25 * (at % 2) + number / 8, 0.0] for at in range(11)]
    made.compute_stats()
    made.stats["action"]["std"] = [0.0, 0.0]


@plant("q90 of channel 0 is", f"action in {STATS}", others=1)
def a_quantile_beyond_those_of_all_episodes(made: LeRobotSet) -> None:
    made.stats["action"]["q90"][0] = made.stats["action"]["q99"][0] = made.stats["action"]["max"][0]
    for row in made.episodes:
        row["stats/action/q90"][0] = row["stats/action/q50"][0]


@plant("the shape is [3], not [3, 1, 1]", f"{CAMERA} in {STATS}")
def statistics_of_pictures_in_another_shape(made: LeRobotSet) -> None:
    made.stats[CAMERA] = {k: np.ravel(v).tolist() for k, v in made.stats[CAMERA].items()}


@plant("values of pictures are not from 0 to 1", f"{CAMERA} in {STATS}")
def statistics_of_pictures_up_to_255(made: LeRobotSet) -> None:
    made.stats[CAMERA] |= {"max": [[[255.0]]] * 3}


@plant("statistics of action are wrong for episode 2: mean of channel 0 is", "meta/episodes")
def statistics_of_an_episode_of_other_data(made: LeRobotSet) -> None:
    made.episodes[2]["stats/action/mean"][0] += 0.1


@plant(
    "statistics of action are wrong for episode 2: count is 3.0, but there are 4 rows",
    "meta/episodes",
)
def a_wrong_count_of_an_episode(made: LeRobotSet) -> None:
    made.episodes[2]["stats/action/count"] = [3]


@plant("statistics of action are wrong for episode 3: q50 of channel 1 is", "meta/episodes")
def a_quantile_of_an_episode_of_other_data(made: LeRobotSet) -> None:
    row = made.episodes[3]
    for key in ("q50", "q10", "q01"):
        row[f"stats/action/{key}"][1] = row["stats/action/min"][1]


@plant("mean of channel 0 is nan, but", f"action in {STATS}")
def statistics_that_missing_values_spoil(made: LeRobotSet) -> None:
    made.tables[DATA[0]]["action"][1] = [math.nan, 1.0]
    made.compute_stats()
    made.stats["action"] |= {
        k: [math.nan, made.stats["action"][k][1]] for k in ("mean", "std", "min", "max")
    }


# -- defects of older versions


@plant("it is missing", "meta/tasks.jsonl", version="v2.1", others=1)
def old_tasks_that_are_missing(made: LeRobotSet) -> None:
    made.then.append(lambda root: (root / "meta/tasks.jsonl").unlink())


@plant("line 5 is no JSON", "meta/episodes.jsonl", version="v2.1")
def an_old_list_with_a_damaged_line(made: LeRobotSet) -> None:
    made.then.append(lambda root: append(root / "meta/episodes.jsonl", '{"episode_index": 4, "len'))


@plant("fewer pictures than it needs for episode 3: 6 instead of 7", "e_000003.mp4", version="v2.1",
       others=1)  # fmt: skip
def an_old_video_with_a_picture_too_few(made: LeRobotSet) -> None:
    made.then.append(lambda root: next(root.rglob("*3.mp4")).write_bytes(video(6)))


@plant(
    "statistics of action are wrong for episode 1: std of channel 0 is",
    "meta/episodes_stats.jsonl",
    version="v2.1",
)
def old_statistics_of_an_episode_of_other_data(made: LeRobotSet) -> None:
    made.episodes[1]["stats/action/std"][0] += 1.0


@plant("mean of channel 0 is", f"action in {STATS}", version="v2.0")
def old_statistics_of_other_data(made: LeRobotSet) -> None:
    made.stats["action"]["mean"][0] += 0.1


@plant("it still has episode 7", "meta/episodes_stats.jsonl", version="v2.1")
def old_statistics_of_a_deleted_episode(made: LeRobotSet) -> None:
    line = json.dumps({"episode_index": 7, "stats": {}})
    made.then.append(lambda root: append(root / "meta/episodes_stats.jsonl", line))


@plant("total_videos is 5, but there are 4", INFO, version="v2.1")
def old_videos_counted_too_many(made: LeRobotSet) -> None:
    made.then.append(lambda root: set_info(root, total_videos=5))


# -- what tests need


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def set_info(root: Path, **values: Any) -> None:
    (root / INFO).write_text(json.dumps(json.loads((root / INFO).read_text()) | values))


def damaged(content: bytes, number: int) -> bytes:
    """Return an MP4 file in which the data of a picture is overwritten."""
    import io

    with av.open(io.BytesIO(content)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
        at, size = packets[number].pos, packets[number].size
    return content[: at + 4] + b"\x00" * (size - 4) + content[at + size :]


@pytest.mark.parametrize("change, told, where, fatal, others, version, thorough", PLANTS)
def test_a_dataset_is_not_sound_with(
    tmp_path: Path, change: Plant, told: str, where: str, fatal: bool, others: int, version: str,
    thorough: bool,
) -> None:  # fmt: skip
    made = LeRobotSet(version)
    change(made)
    root = made.write(tmp_path / "set")
    found = verify_lerobot(root, thorough)
    listing = "\n".join(map(str, found))
    mine = [f for f in found if told in f.what and where in f.where]
    assert [f.fatal for f in mine] == [fatal], listing
    assert all(f.fix for f in found)
    assert len(found) - 1 <= others, listing
    if thorough:
        assert verify_lerobot(root) == []


def test_a_long_dataset_names_only_some_of_its_episodes(tmp_path: Path) -> None:
    made = LeRobotSet()
    for row in made.episodes:
        row["stats/action/mean"] = [9.0, 9.0]
    (found,) = read(made.write(tmp_path / "set"))
    assert "episodes 0, 1, 2 and 1 more" in found.what


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_damage_anywhere_is_told_and_never_raised(tmp_path: Path, version: str) -> None:
    whole = LeRobotSet(version).write(tmp_path / "whole")
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    rng = np.random.default_rng(3)
    for number in range(80):
        root = tmp_path / str(number)
        shutil.copytree(whole, root)
        path = root / files[number % len(files)]
        data = bytearray(path.read_bytes())
        if number % 3 == 0:
            path.write_bytes(data[: rng.integers(len(data))])
        else:
            for at in rng.integers(len(data), size=20):
                data[at] = rng.integers(256)
            path.write_bytes(data)
        verify_lerobot(root, thorough=True)
        shutil.rmtree(root)
