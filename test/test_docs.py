"""The commands, examples, links and file names in README and docs work."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from support.bags import PROFILE, small_robot
from support.pages import PAGES, ROOT, TOOLS, Shell, Snippet, blocks, commands

from robot_recorder.cli import main as cli
from robot_recorder.cli import play
from robot_recorder.configuration.buttons import parse_buttons
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.dataset.export_profile import parse_export_profile
from robot_recorder.episodes import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, dump_events, load_events
from robot_recorder.sim.places import parse_place

EPISODE = "g1_sim_20261122T222642_169_lift_box"  # the example of the documentation
OTHER = EPISODE.replace("222642", "222801")
T0 = 1_795_386_402_169_000_000  # 2026-11-22T22:26:42.169
SECONDS = 7.0
CAMERA = "head_camera"
ROBOT = (
    PROFILE.replace("topic: camera/", f"topic: {CAMERA}/")
    .replace("camera:", f"{CAMERA}:")
    .replace("joints:", "joint_states:")
)


def record(root: Path, id: str) -> Path:
    """Make a successful episode of 7 s, 0.5 s of it pre-roll, with the verdict review."""
    start_ns = T0 + 500_000_000
    at_ns = start_ns + 2_100_000_000
    events = [
        LabelEvent(start_ns, id, LabelKind.TASK, "ann", task="lift_box", instruction="Lift the box.",
                   operator_name="ann"),
        LabelEvent(at_ns, id, LabelKind.ANNOTATION, "ann", name="contact", start_ns=at_ns, end_ns=at_ns),
        LabelEvent(at_ns, id, LabelKind.ANNOTATION, "ann", name="take", start_ns=at_ns, end_ns=at_ns + 10**9),
        LabelEvent(at_ns, id, LabelKind.OUTCOME, "ann", outcome=Outcome.SUCCESS),
    ]  # fmt: skip
    quality = {"verdict": "review", "sentence": "review: look at it", "reasons": ["gap"]}
    facts = {
        "episode_id": id, "robot": "small", "namespace": "/", "profile_yaml": ROBOT, "pre_roll_s": "0.5",
        "start_ns": str(start_ns), "stop_ns": str(T0 + round(SECONDS * 1e9)), "labels": dump_events(events),
        "verdict": "review", "quality": json.dumps(quality), **label_facts(events),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.bags.T0", T0)
        path = small_robot(root / id, SECONDS, 0.0, "/", CAMERA, **facts)
    sync = run(["robot-recorder", "certificate", str(path), "--json"])
    open_store(root).amend(path, lambda _: {"sync": sync})
    return path


def copy(path: Path, root: Path, id: str) -> None:
    shutil.copytree(path, root / id)
    open_store(root).amend(root / id, lambda _: {"episode_id": id})


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directories that the documentation uses, with episodes and a trash."""
    root = tmp_path_factory.mktemp("floor")
    path = record(root, EPISODE)
    for folder, id in (
        ("episodes", EPISODE), ("episodes", OTHER), ("data", EPISODE), ("data/episodes", EPISODE),
        ("data/robot_07", OTHER), ("data/episodes", "thrown_away"), ("data/episodes", "thrown_away_too"),
    ):  # fmt: skip
        copy(path, root / folder, id)
    for id in ("thrown_away", "thrown_away_too"):
        open_store(root / "data/episodes").discard(root / "data/episodes" / id)
    shutil.copy(next(path.glob("*.mcap")), root / "recording.mcap")
    (root / "my_robot.yaml").write_text(ROBOT)
    shutil.copy(ROOT / "config/tasks.yaml", root / "my_tasks.yaml")
    (root / "tmp").mkdir()
    if importlib.util.find_spec("pyarrow") and importlib.util.find_spec("av"):
        run(["robot-recorder", "export", str(root / "episodes"), "--out", str(root / "trained")])
        shutil.copytree(root / "trained", root / "trained_before")
    return root


@pytest.fixture
def desk(floor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a copy of ``floor`` as working directory."""
    shutil.copytree(floor, tmp_path / "desk", symlinks=True)
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


def run(arguments: list[str]) -> str:
    """Run a robot-recorder command in this process and return its output; ``check`` may find defects."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = cli.main(arguments[1:])
        except SystemExit as end:
            code = int(end.code or 0)
    findings = (0, 1) if arguments[1] == "check" else (0,)
    assert code in findings, f"{shlex.join(arguments)}: {code}: {errors.getvalue()}"
    return output.getvalue()


PLACEHOLDERS = {
    "EPISODE": [EPISODE], "BAG": [EPISODE], "PATH": [EPISODE], "FILE": ["my_robot.yaml"],
    "EPISODE...": [EPISODE, f"data/robot_07/{OTHER}"], "BAG...": [EPISODE, f"data/robot_07/{OTHER}"],
    "...": [], "ID": ["thrown_away"], "/tmp": ["tmp"], "/path/tasks.yaml": ["my_tasks.yaml"],
    "/data": ["data"], "ROOT": ["data/episodes"], "/data/episodes": ["data/episodes"], "/data/robot_*": ["data/robot_07"],
    "episodes/g1_sim_...": [f"episodes/{EPISODE}"], "OTHER_ID": ["thrown_away_too"],
    "DATASET": ["trained"], "BEFORE": ["trained_before"], "AFTER": ["trained"],
    "/data/episodes/*_lift_box": [f"data/episodes/{EPISODE}", f"data/robot_07/{OTHER}"],
}  # fmt: skip


def of_page(snippets: list[Snippet]) -> dict[str, list[Snippet]]:
    found: dict[str, list[Snippet]] = {}
    for snippet in snippets:
        found.setdefault(snippet.page.name, []).append(snippet)
    return found


def is_file(snippet: Snippet) -> bool:
    """Return whether it is a file of the example package, which test/extending installs."""
    return snippet.text.startswith("# floor_pack/")


# What the example package adds is run in test/extending, what takes a robot or a person in test/cli.
_ADDED = (
    "recorder count",
    "--out episode.csv",
    "--format lines",
    "--live",
    "profile new",
    "recorder console",
    "recorder centre",
    "recorder agent",
    "recorder floor",
    "recorder worker",
    "recorder exchange",
)
OURS = of_page([c for c in commands("robot-recorder") if not any(a in c.text for a in _ADDED)])
EXAMPLES = of_page([b for b in blocks("python") if not is_file(b)])
DONE: set[str] = set()


@pytest.mark.parametrize("page", OURS)
def test_every_command_of_a_page_works(
    page: str, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewed: list[object] = []

    def no_screen(recording: object, everything: bool) -> None:
        viewed.append(recording)

    def played(program: str, command: list[str]) -> None:
        assert str(desk) in " ".join(command), "the player must get the episode"
        raise SystemExit(0)  # as execv, which does not return

    monkeypatch.setattr(play.os, "execv", played)  # type: ignore[attr-defined]
    with contextlib.suppress(ImportError):
        importlib.import_module("robot_recorder.view.viewer")
        monkeypatch.setattr("robot_recorder.view.viewer.spawned", no_screen)
    shell = Shell(run, PLACEHOLDERS)
    for command in OURS[page]:
        if command.text in DONE:
            continue  # was run for another page
        DONE.add(command.text)
        if not runs_here(command.text):
            continue
        if not command.language and is_name(command.text):
            continue
        try:
            shell(command.text)
        except AssertionError as error:
            raise AssertionError(f"{command}: {error}") from error


def is_name(text: str) -> bool:
    """Return whether it is only a command with names of options; check that they exist."""
    _, command, *options = text.split()
    if any(not option.startswith("--") for option in options):
        return False
    known = run(["robot-recorder", command, "--help"])
    assert all(option in known for option in options), f"{text}: {known}"
    return True


def runs_here(text: str) -> bool:
    """Return whether the packages that a command needs are installed."""
    needed = {" export ": "av", " view ": "rerun", " play ": "rclpy", " --parquet": "pyarrow"}
    return all(
        importlib.util.find_spec(module) for words, module in needed.items() if words in f"{text} "
    )


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_python_examples_of_a_page_run_in_order(
    page: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["robot-recorder", "align", EPISODE])  # an example reads its output
    names: dict[str, object] = {}
    for snippet in EXAMPLES[page]:
        before = set(names)
        exec(compile(snippet.text, str(snippet), "exec"), names)
        assert set(names) - before, f"{snippet} defines no name"
        if "print(" in snippet.text:
            assert capsys.readouterr().out.strip(), f"{snippet} prints nothing"


def test_the_api_page_names_existing_attributes_of_episode() -> None:
    page = (ROOT / "docs/api.md").read_text()
    table = page.partition("| of an `Episode` |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (.+?) \|", table, re.M)
    names = [n for cell in cells for n in re.findall(r"`(?:Episode\.)?(\w+)", cell)]
    assert len(names) > 12
    known = {*dir(Episode), *(f.name for f in dataclasses.fields(Episode))}
    assert not set(names) - known


# -- ROS


def test_every_service_call_has_an_existing_service_and_valid_fields() -> None:
    pytest.importorskip("rclpy")
    from robot_recorder.nodes.call import SERVICES, _request

    served = {name: kind for name, kind in SERVICES.values()}
    calls = [c for c in commands("ros2") if c.text.startswith("ros2 service call")]
    calls += launch_file_calls()
    assert len(calls) > 8
    for call in calls:
        name, type_name, *fields = shlex.split(call.text, comments=True)[3:]
        short = "/".join(name.split("/")[-2:])
        package, _, kind = type_name.split("/")
        cls = getattr(importlib.import_module(f"{package}.srv"), kind)
        assert short in served and served[short] is cls, (
            f"{call}: no node serves {short} as {type_name}"
        )
        given = yaml.safe_load(fields[0]) if fields else {}
        _request(cls, [f"{name}={json.dumps(value)}" for name, value in given.items()])


def launch_file_calls() -> list[Snippet]:
    return [
        Snippet(path, 0, "", line.strip())
        for path in (ROOT / "launch").iterdir()
        if path.suffix == ".py"
        for line in (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
        if line.strip().startswith("ros2 service call")
    ]


def test_interfaces_md_lists_exactly_the_services_of_call() -> None:
    pytest.importorskip("rclpy")
    from robot_recorder.nodes.call import SERVICES

    page = (ROOT / "docs/interfaces.md").read_text()
    tables = re.findall(r"^\| service \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.M)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    listed = {name for cell in cells for name in re.findall(r"`([\w/]+)`", cell)}
    served = {name for name, _ in SERVICES.values() if name.startswith(("recorder/", "labeller/"))}
    assert listed == served


def test_every_short_name_passed_to_call_exists() -> None:
    pytest.importorskip("rclpy")
    from robot_recorder.nodes.call import SERVICES, _request

    for call in commands("call"):
        _, name, *fields = shlex.split(call.text)
        assert name in SERVICES, f"{call}: {name}"
        _request(SERVICES[name][1], fields)


def launch_arguments(file: str) -> set[object]:
    tree = ast.parse((ROOT / "launch" / file).read_text())
    found: set[object] = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARGUMENTS":
            found |= set(ast.literal_eval(ast.unparse(node.value).replace("TRUTH", "None")))
    return found


def test_every_launch_command_has_existing_arguments() -> None:
    launches = [c for c in commands("ros2") if c.text.startswith("ros2 launch")]
    assert len(launches) > 5
    for launch in launches:
        _, _, package, file, *arguments = shlex.split(launch.text, comments=True)
        assert package == "robot_recorder"
        given: set[object] = {a.partition(":=")[0] for a in arguments}
        unknown = given - launch_arguments(file)
        assert not unknown, f"{launch}: {file} has no {unknown}"


def executables() -> dict[str, tuple[str, str]]:
    """Return the executables that CMakeLists.txt installs, with modules and functions."""
    text = (ROOT / "CMakeLists.txt").read_text()
    call = r"install_executable\(([\w${}-]+) (robot_recorder[\w.${}]+) ([\w${}]+) "
    found = {name: (module, function) for name, module, function in re.findall(call, text)}
    for nodes in re.findall(rf"foreach\(node ([\w ]+)\)\s+{call}", text):
        found |= {
            name: (nodes[2].replace("${node}", name), nodes[3].replace("${node}", name))
            for name in nodes[0].split()
        }
    return {name: entry for name, entry in found.items() if "$" not in name}


def test_every_executable_in_the_docs_is_installed() -> None:
    runs = [c for c in commands("ros2") if c.text.startswith("ros2 run")]
    assert runs
    for line in runs:
        _, _, package, name, *_ = shlex.split(line.text, comments=True)
        assert package == "robot_recorder" and name in executables(), str(line)


@pytest.mark.parametrize("module, function", executables().values())
def test_every_executable_has_its_function(module: str, function: str) -> None:
    path = ROOT / f"{module.replace('.', '/')}.py"
    assert path.exists(), path
    functions = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
    assert function in functions


# -- the checkout


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.M))
    named = {shlex.split(c.text)[1]: str(c) for c in commands("make")}
    named |= {name: "Makefile" for name in re.findall(r"^# make ([\w-]+)", makefile, re.M)}
    assert len(named) > 8
    assert set(named) <= targets, {n: where for n, where in named.items() if n not in targets}
    for script in re.findall(r"(?:python|pytest)[^\n]*?((?:bench|tools|test)/[\w/.]+)", makefile):
        assert (ROOT / script).exists(), script


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}"


def test_every_page_is_linked_once_from_the_readme() -> None:
    linked = re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text())
    assert sorted(linked) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_the_first_episode_is_within_two_screens_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert text[: text.index("lift_box   │ success")].count("\n") < 2 * 50


def test_every_decision_is_linked_in_order_and_has_its_parts() -> None:
    linked = re.findall(
        r"- \[(.+)\]\(decisions/(.+)\)", (ROOT / "docs/architecture.md").read_text()
    )
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [name for _, name in linked] == [page.name for page in pages]
    for number, ((title, _), page) in enumerate(zip(linked, pages), 1):
        text = page.read_text()
        assert text.startswith(f"# {title}\n") and page.name.startswith(f"{number:04}-"), page.name
        parts = re.findall(r"^## (.+)$", text, re.M)
        assert parts == ["Context", "Alternatives", "The figure", "Consequence"], page.name


# -- paths

_PATH = re.compile(
    r"(?<![\w/.*<>~$-])((?:[\w-]+/)+[\w.-]+\.(?:py|md|yaml|json|rviz|xml|txt|toml))\b"
)
OF_OTHERS = {
    "src/message_filters/__init__.py",
    "meta/modality.json",
    "meta/info.json",
    "meta/stats.json",
}  # files of other packages and formats


def named_paths(text: str) -> list[str]:
    """Return the paths of files in a text."""
    found = _PATH.findall(re.sub(r"\w+://\S+", "", text))
    return [
        path for path in found if not path.startswith("floor_pack/")
    ]  # files of the example package


def exists(path: str, beside: Path) -> bool:
    """Return whether a path exists in the checkout, in the package, or beside the text."""
    return any((base / path).is_file() for base in (ROOT, ROOT / "robot_recorder", beside))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    gone = [path for path in named_paths(page.read_text()) if not exists(path, page.parent)]
    assert not gone, f"{page.name} names {gone}"


def docstrings(source: Path) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and functions."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("folder", ["robot_recorder", "test", "bench", "launch", "tools"])
def test_every_file_that_a_docstring_names_exists(folder: str) -> None:
    for source in (ROOT / folder).rglob("*.py"):
        for path in (path for text in docstrings(source) for path in named_paths(text)):
            assert exists(path, source.parent) or path in OF_OTHERS, f"{source} names {path}"


def test_the_architecture_draws_the_floors_that_are_tested() -> None:
    from test_architecture import FLOORS

    page = (ROOT / "docs/architecture.md").read_text()
    drawing = re.split(r"^## .+$", page, flags=re.M)[2].split("```")[1]
    level = {
        name.removesuffix(".py"): number
        for number, line in enumerate(drawing.strip().splitlines())
        for name in re.findall(r"(\w+)(?:/|\.py)", line)
    }
    rows = {row[0]: row[2].split() for row in FLOORS if "." not in row[0]}
    assert set(level) == set(rows)
    for folder, below in rows.items():
        for other in (name for name in below if name in level):
            assert level[other] >= level[folder], (
                f"{folder} imports {other}, which is on a higher floor"
            )


# -- YAML and JSON


def as_profile(text: str) -> object:
    head = "" if re.search(r"^robot:", text, re.M) else "robot: r\n"
    return parse_profile(head + text, "docs", included)


def included(name: str) -> tuple[str, str]:
    """Return a profile in the place of a file that an example includes."""
    stream = "type: sensor_msgs/msg/Imu, role: observation, rate_hz: 9"
    topic = name.partition(".")[0]
    return f"streams: {{{topic}: {{topic: {topic}, {stream}}}}}", name


PARSERS: dict[str, Callable[[str], object]] = {
    "tasks:": lambda text: parse_tasks(text, "docs"),
    "streams:": as_profile,
    "include:": as_profile,
    "features:": lambda text: parse_export_profile(text, "docs"),
    "joys:": lambda text: parse_buttons(text, "docs"),
    "kinds:": lambda text: parse_place(text, "docs"),
    "cloths:": lambda text: parse_place(text, "docs"),
}


@pytest.mark.parametrize("snippet", blocks("yaml"), ids=str)
def test_every_yaml_example_is_valid(snippet: Snippet) -> None:
    (parse,) = (p for key, p in PARSERS.items() if re.search(rf"^{key}", snippet.text, re.M))
    assert parse(snippet.text)


@pytest.mark.parametrize("snippet", blocks("json"), ids=str)
def test_every_example_of_a_label_log_is_valid(snippet: Snippet) -> None:
    assert len(load_events(snippet.text)) == snippet.text.count('"kind"')


def test_every_block_has_a_language_that_is_tested() -> None:
    """A block in another language needs a test of its own."""
    known = {"", "sh", "bash", "python", "yaml", "json", "toml"}
    for page in PAGES:
        languages = re.findall(r"^```(\w+)\n", page.read_text(), re.M)
        assert set(languages) <= known, f"{page.name}: {set(languages) - known}"
    shells = [line for b in blocks("sh", "bash") for line in b.text.splitlines()]
    tools = {words[0] for line in shells if (words := shlex.split(line, comments=True))}
    assert tools <= {*TOOLS, "export", "mkdir", "rosdep", "colcon", "pip"}, tools


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_merge_conflict_marks(page: Path) -> None:
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", page.read_text(), re.M)
