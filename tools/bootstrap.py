"""Installs everything that `make demo` needs inside the checkout, unless it is installed already.

Of ROS 2 Kilted, or of Jazzy if the variable DISTRO says so; each has an environment of its own.
With --tests also what `make test` needs, with --docs what `make docs` needs, with --console what
`make console` needs, with --floor what `make floor` needs, with --export what `make dataset` needs, with --datasets the readers of `make test-datasets`, with --datasets-tf the reader of RLDS.
Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The distribution to install; the first has no suffix, and the whole suite runs on it.
DISTROS = {"kilted": "", "jazzy": "-jazzy"}
DISTRO = os.environ.get("DISTRO") or "kilted"
SUFFIX = DISTROS.get(DISTRO, "")
VENV = ROOT / f".venv{SUFFIX}"
BUILD = ROOT / ".cache" / f"build{SUFFIX}"
INTERFACES = ROOT / "test" / "robots" / "interfaces"
PYTHON = VENV / "bin" / "python"
EMULATOR = "iwer@2.5.0"  # a headset for the browser of the tests, from the npm registry
REQUIREMENTS = (f"ros{SUFFIX}", "run", "sim", "dev")
ELSEWHERE = """On other machines:
  - with a ROS 2 distribution (Jazzy, Kilted; also on aarch64): build with colcon, see "On a robot" in README.md
  - to read, check and draw episodes without ROS: pip install ."""


def main() -> int:
    os.chdir(ROOT)
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        os.environ.pop(name, None)  # set by another ROS 2 installation
    began = time.monotonic()
    options = (
        "--tests",
        "--docs",
        "--console",
        "--floor",
        "--export",
        "--datasets",
        "--datasets-tf",
    )
    tests, docs, console, floor, export, datasets, rlds = (o in sys.argv[1:] for o in options)
    check_platform()
    install_debian_packages()
    everything = tests and DISTRO == "kilted"
    if everything:
        install_what_shows()
    if datasets:
        install_what_decodes()
    steps = [
        install_python_packages(),
        everything and install_more("view", "the viewer (170 MB)"),
        (tests or export) and install_more("video", "what reads and writes video (100 MB)"),
        (everything or export) and install_more("datasets", "what writes datasets (110 MB)"),
        (tests or console or floor) and install_more("console", "the operator's console (15 MB)"),
        (everything or floor) and install_more("floor", "the centre (60 MB)"),
        everything and install_more("browser", "what drives a browser (130 MB)"),
        everything and install_emulator(),
        docs and install_more("docs", "the generator of the documentation (130 MB)"),
        build_package(),
        tests and build_interfaces(),
        datasets and install_more("ray", "what runs exports on several machines (270 MB)"),
        (datasets or (tests and floor))
        and install_more("remote", "what reads and writes s3://, and a server for tests (100 MB)"),
        datasets and install_readers("datasets", "readers", "lerobot"),
        rlds and install_readers("datasets-tf", "tf"),
    ]
    if any(steps):
        print(f"set-up took {time.monotonic() - began:.0f} s", flush=True)
    return 0


def check_platform() -> None:
    """End with a sentence that says what is missing on this machine, if anything is."""
    version = sys.version_info[:2]
    if DISTRO not in DISTROS:
        sys.exit(f"DISTRO is {DISTRO!r}; ROS 2 wheels are pinned for {' and '.join(DISTROS)}.")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        sys.exit(
            f"ROS 2 wheels exist for Linux on x86_64 only, this is {sys.platform} {platform.machine()}.\n{ELSEWHERE}"
        )
    if not (3, 10) <= version <= (3, 13):
        sys.exit(
            f"Python 3.10 to 3.13 is needed, this is {platform.python_version()}.\n"
            f"Name another one: make PYTHON=python3.12 demo\n{ELSEWHERE}"
        )


def install_debian_packages() -> None:
    """Install missing packages when running as root; otherwise print the command that does."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    missing = []
    if not (shutil.which("c++") and shutil.which("make")):
        missing.append("build-essential")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        missing.append(f"{version}-dev")
    if not has_module("ensurepip"):
        missing.append(f"{version}-venv")
    # PyOpenGL finds EGL's functions through libGL.
    for library, package in (("EGL", "libegl1"), ("GL", "libgl1")):
        if not ctypes.util.find_library(library):
            missing.append(package)
    if not list(Path("/usr/share/glvnd/egl_vendor.d").glob("*mesa*")):
        missing += ["libegl-mesa0", "libgl1-mesa-dri"]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(
            "missing on this machine; install it and run make again:\n  sudo " + " ".join(command)
        )
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=environment)
    run([*command, "-qq"], env=environment)


def install_what_shows() -> None:
    """Install a browser, a Vulkan driver and a voice; tests that need them are skipped without."""
    missing = []
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        missing.append("chromium")
    if not list(Path("/usr/share/vulkan/icd.d").glob("lvp*")):
        missing += ["libvulkan1", "mesa-vulkan-drivers"]
    if not shutil.which("espeak-ng"):
        missing.append("espeak-ng")
    install_if_possible(missing)


def install_what_decodes() -> None:
    """Install the libraries of ffmpeg; tests with torchcodec are skipped without."""
    install_if_possible([] if ctypes.util.find_library("avcodec") else ["ffmpeg"])


def install_if_possible(missing: list[str]) -> None:
    """Install Debian packages as root; otherwise, or if that fails, print the command that does."""
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {' '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment)
        if subprocess.run([*command, "-qq"], env=environment).returncode == 0:
            return
    say(f"some tests will be skipped; for all of them: sudo {' '.join(command)}")


def has_module(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def install_python_packages() -> bool:
    """Install all pinned packages into a virtual environment."""
    files = [ROOT / "requirements" / f"{name}.txt" for name in (*REQUIREMENTS, "assets")]
    stamp = VENV / ".installed"
    wanted = digest(files) + " " + platform.python_version()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    if (VENV / "pyvenv.cfg").exists() and f"version = {platform.python_version()}" not in (
        VENV / "pyvenv.cfg"
    ).read_text():
        shutil.rmtree(VENV)  # made with another Python version
    if not PYTHON.exists():
        say(f"creating the virtual environment {VENV.name}")
        run([sys.executable, "-m", "venv", str(VENV)])
    say("installing ROS 2, the simulator and the tools (about 300 MB)")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pip += ["--prefer-binary"]  # all packages except empy have wheels
    run([*pip, *[x for f in files[:-1] for x in ("-r", str(f))]])
    run([*pip, "--no-deps", "--ignore-requires-python", "-r", str(files[-1])])
    shutil.rmtree(BUILD, ignore_errors=True)  # configured for the previous packages
    stamp.write_text(wanted)
    return True


def install_more(name: str, what: str) -> bool:
    """Install optional packages, pinned in a file of their own.

    Args:
        name: of the file in requirements/.
        what: their purpose and size, to be printed.
    """
    file = ROOT / "requirements" / f"{name}.txt"
    stamp = VENV / f".installed-{name}"
    wanted = digest([file]) + " " + (VENV / ".installed").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    say(f"installing {what}")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, "-r", str(file)])
    stamp.write_text(wanted)
    return True


def install_emulator() -> bool:
    """Install the emulator of a headset into .cache/npm; tests that need it are skipped without."""
    home = ROOT / ".cache" / "npm"
    stamp = home / ".installed"
    if stamp.exists() and stamp.read_text() == EMULATOR:
        return False
    if not shutil.which("npm"):
        say("tests with an emulated headset will be skipped: there is no npm")
        return False
    say("installing the emulator of a headset (5 MB)")
    home.mkdir(parents=True, exist_ok=True)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--fetch-retries=1"]
    if subprocess.run(["npm", "install", "--prefix", str(home), *quiet, EMULATOR]).returncode:
        say("tests with an emulated headset will be skipped: npm failed")
        return False
    stamp.write_text(EMULATOR)
    return True


def install_readers(folder: str, file: str, bare: str = "") -> bool:
    """Install readers of datasets into an environment of their own, beside what they would change.

    Args:
        folder: of the environment, in .cache/.
        file: NAME of a file datasets-NAME.txt in requirements/.
        bare: the same of one whose packages are installed without what they declare.
    """
    files = [ROOT / "requirements" / f"datasets-{name}.txt" for name in (file, bare) if name]
    home = ROOT / ".cache" / folder
    wanted = digest(files) + " " + platform.python_version()
    stamp = home / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    if sys.version_info < (3, 11):
        sys.exit("the readers of datasets need Python 3.11 or newer: make PYTHON=python3.11")
    say(f"installing readers of datasets into .cache/{folder} (2 GB)")
    shutil.rmtree(home, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(home)])
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    for path in files:
        run([*pip, "--quiet", *(["--no-deps"] if path != files[0] else []), "-r", str(path)])
    stamp.write_text(wanted)
    return True


def mend_cmake_files() -> None:
    """Point the wheels' exported CMake files at this interpreter.

    They name the include directories of Python and numpy on the machine that built them, and a library
    there that is inside the wheel.
    """
    numpy_include = output([str(PYTHON), "-c", "import numpy; print(numpy.get_include())"])
    python_include = sysconfig.get_paths()["include"]
    for path in (VENV / "share").glob("*/cmake/*.cmake"):
        text = path.read_text()
        if "/opt/python/" not in text and "/usr/lib64/" not in text:
            continue
        text = re.sub(r'/opt/python/[^;"]*/numpy/_core/include', lambda _: numpy_include, text)
        text = re.sub(r'/opt/python/[^;"]*/include/python[\d.]+', lambda _: python_include, text)
        text = re.sub(r"/usr/lib64/lib\w+\.so;?", "", text)
        path.write_text(text)


def build_package() -> bool:
    """Generate the messages and install the package into the virtual environment, as links."""
    sources = [ROOT / "CMakeLists.txt", ROOT / "package.xml", ROOT / "tools" / "executable.py.in"]
    for folder in ("msg", "srv", "native"):
        sources += sorted((ROOT / folder).iterdir())
    linked = [
        str(p.relative_to(ROOT))
        for folder in ("robot_recorder", "launch", "config")
        for p in sorted((ROOT / folder).rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    ]
    stamp = BUILD / ".built"
    wanted = digest(sources, "\n".join(linked))
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    say("generating the messages and building the package")
    mend_cmake_files()
    # Edits to Python files take effect at once, as with colcon build --symlink-install.
    run_cmake(ROOT, BUILD, VENV, "-DBUILD_TESTING=OFF", "-DAMENT_CMAKE_SYMLINK_INSTALL=ON")
    remove_dead_links()
    stamp.write_text(wanted)
    return True


def interfaces_prefix() -> Path:
    """Return where the messages of robots and devices are installed, which the tests publish."""
    files = sorted(p for p in INTERFACES.rglob("*") if p.is_file())
    names = "\n".join(str(p.relative_to(INTERFACES)) for p in files)
    return (
        BUILD.parent
        / f"robots{SUFFIX}"
        / digest(files, (VENV / ".installed").read_text() + names)[:16]
    )


def build_interfaces() -> bool:
    """Build the messages of robots and devices, once for each state of their definitions."""
    prefix = interfaces_prefix()
    if prefix.exists():
        return False
    say("generating the messages of robots and devices for the tests")
    shutil.rmtree(prefix.parent, ignore_errors=True)  # of earlier definitions
    unfinished = prefix.with_suffix(".unfinished")
    run_cmake(INTERFACES, prefix.parent / "build", unfinished)
    shutil.rmtree(prefix.parent / "build")
    unfinished.rename(prefix)
    return True


def run_cmake(source: Path, build: Path, prefix: Path, *options: str) -> None:
    """Configure, build and install a CMake project against the wheels.

    Args:
        source: folder of the project.
        build: folder to build in.
        prefix: folder to install to.
        options: of the configuration.
    """
    environment = {
        **os.environ,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
    }
    cmake = str(VENV / "bin" / "cmake")
    configure = [
        cmake, "-S", str(source), "-B", str(build), f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DPython3_EXECUTABLE={PYTHON}", "-DPython3_FIND_VIRTUALENV=ONLY", *options,
    ]  # fmt: skip
    compile_ = [cmake, "--build", str(build), "-j", str(os.cpu_count() or 2)]
    build.mkdir(parents=True, exist_ok=True)
    log = build.parent / f"{build.name}.log"
    with open(log, "wb") as file:
        for command in (configure, compile_, [cmake, "--install", str(build)]):
            done = subprocess.run(command, cwd=build, env=environment, stdout=file, stderr=file)
            if done.returncode:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
                sys.exit(f"{tail}\nthe build failed; the whole log is {log}")


def remove_dead_links() -> None:
    """Remove installed links to files that were moved or deleted, and empty directories."""
    for package in (*VENV.glob("lib/python*/site-packages"), VENV / "share"):
        for path in sorted((package / "robot_recorder").rglob("*"), reverse=True):
            if path.is_symlink() and not path.exists():
                path.unlink()
            elif path.is_dir() and {p.name for p in path.iterdir()} <= {"__pycache__"}:
                shutil.rmtree(path)


def digest(files: list[Path], more: str = "") -> str:
    value = hashlib.sha256(more.encode())
    for path in files:
        value.update(path.name.encode() + b"\0" + path.read_bytes())
    return value.hexdigest()


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    if subprocess.run(command, env=env).returncode:
        sys.exit(f"failed: {' '.join(command)}")


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
