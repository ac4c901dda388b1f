"""The pip route: the offline library and the command line, on a machine without ROS.

On a robot the package is built by colcon (CMakeLists.txt), which also generates the messages.
"""

import xml.etree.ElementTree as ElementTree
from glob import glob

from setuptools import find_packages, setup

# package.xml is the one place that says name, version and licence.
manifest = ElementTree.parse("package.xml").getroot()

setup(
    name=manifest.findtext("name"),
    version=manifest.findtext("version"),
    description=manifest.findtext("description"),
    license=manifest.findtext("license"),
    python_requires=">=3.10",
    packages=find_packages(include=["robot_recorder", "robot_recorder.*"]),
    package_data={
        "robot_recorder.report": ["page.*"],
        "robot_recorder.dataset.card": ["page.*"],
        "robot_recorder.console": ["static/*"],
        "robot_recorder.web": ["static/*"],
        "robot_recorder.floor.centre": ["static/*"],
    },
    data_files=[
        ("share/robot_recorder/config", [*glob("config/*.yaml"), *glob("config/*.rviz")]),
        ("share/robot_recorder/config/security", glob("config/security/*.xml")),
        ("share/robot_recorder/config/robots", glob("config/robots/*.yaml")),
        ("share/robot_recorder/config/devices", glob("config/devices/*.yaml")),
        ("share/robot_recorder/config/places", glob("config/places/*.yaml")),
        ("share/robot_recorder/config/buttons", glob("config/buttons/*.yaml")),
        ("share/robot_recorder/config/words", glob("config/words/*.yaml")),
        ("share/robot_recorder/config/dds", glob("config/dds/*.xml")),
    ],
    install_requires=[
        "matplotlib",
        "lz4",
        "numpy",
        "opencv-python-headless",
        "PyYAML",
        "rich",
        "rosbags",
        "zstandard",
    ],
    extras_require={
        "parquet": ["pyarrow"],
        "view": ["rerun-sdk==0.41.0"],
        "video": ["av==17.1.0"],
        "datasets": ["av==17.1.0", "pyarrow==26.0.1", "h5py==3.14.0", "numcodecs==0.16.6"],
        "console": [
            "fastapi==0.165.0",
            "uvicorn==0.54.0",
            "h11==0.16.0",
            "websockets==16.0",
            "argon2-cffi==25.1.0",
        ],
        "floor": [
            "cryptography==50.0.2",
            "boto3==1.44.8",
            "psycopg[binary]==3.3.9",
            "psycopg-pool==3.3.3",
            "alembic==1.20.1",
            "prometheus-client==0.26.0",
        ],
        "ray": ["ray[client]==2.60.0"],
        "remote": ["obstore==0.12.1"],
    },
    entry_points={"console_scripts": ["robot-recorder = robot_recorder.cli.main:main"]},
)
