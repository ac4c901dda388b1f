# make demo   set up, then record episodes of a simulated humanoid; make demo SCENE=assembly_line: in another
#             place; make demo TASKS=all: film strips of all tasks, without recording
# make test   set up, then run the tests; make test DISTRO=jazzy: those that meet ROS 2, and files, on Jazzy. DISTRO=jazzy makes
#             every other target run there, too, in an environment of its own
# make dataset    record, unless there are episodes, and make a LeRobot dataset of them: five minutes from a clone
# make test-datasets    set up, then let LeRobot, h5py, Zarr and WebDataset read what is exported, and export on Ray and to S3:
#                       2 GB more, five minutes
# make console    set up, then start the simulated robot, the recorder and the operator's console, and say where it is
# make teleop     the same, but a VR headset moves the robot: docs/teleop.md
# make floor      set up, then start a centre, ten light robots and the wall page, and say where to look
# make test-console  set up, then work the operator's console in a browser, as operators do: ten minutes
# make test-floor    set up, then test agents, centre and exchange on real servers (radosgw, PostgreSQL) and with a browser: ten minutes
# make docs   set up, then build the documentation as a searchable site: .cache/site/index.html
# make faults   the faults among them, a hundred kills: half an hour
# make soak HOURS=8     recorder, console, agent and centre for a day under faults; what grows, and is anything lost
# make bench-compress   what compressing an episode saves, and how fast it is: half a minute
# make bench-writers    which bag writer, by CPU and by what a kill costs: a minute
# make bench-alignment  how well streams are aligned, against known truth and beside others: five minutes
# make bench-quality    which defects are found, how soon after a stop, and what checking costs: quarter of an hour
# make bench-playback   how soon an episode is seen, how well it is played, with how much memory: five minutes
# make bench-recorder   what recording costs, loses, and how fast it starts and stops: half an hour
# make bench-startup    how soon recorder and command line are there, and the CPU it takes: two minutes
# make bench-teleop   how soon the simulated robot moves after a scripted headset: a minute
# make bench-memory     what memory recording holds, over one long episode and many short ones, and what grows: an hour and three quarters
# make bench-robots     which defects are found in takes of all robots and devices, and what their messages cost: ten minutes
# make bench-sim        how many of 40 attempts at each simulated task succeed, and is real time held: ten minutes
# make bench-datasets   how fast, true and small in memory exports are, beside LeRobot's own writer: fifteen minutes
# make bench-console    how fast the console answers and shows, and what it costs the recorder: ten minutes
# make bench-floor  whether a hundred robots lose anything under twenty faults a minute, what an agent costs, database, review, jobs: an hour
# make bench-catalogue  how fast a catalogue of six million episodes answers, counts and takes in: ten minutes
PYTHON ?= python3
SHELL := /bin/bash
IN := . tools/env.sh &&
VENV := .venv$(patsubst %,-%,$(filter-out kilted,$(DISTRO)))
# What runs on another distribution than Kilted, which runs everything.
MEETS_ROS := test/nodes test/bags test/messages/test_installed_types.py test/robots/test_live.py test/test_interfaces.py test/test_distributions.py
PYTEST := pytest --basetemp=.cache/pytest
# Tests of real nodes wait for other processes, and a busy machine fails some: a second failure, by itself, counts.
AGAIN = { echo "== what failed, once more by itself" && $(PYTEST) --last-failed --last-failed-no-failures none; }
SIDE_BY_SIDE := $(PYTEST) --cache-clear -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: console teleop demo dataset floor test test-console test-datasets test-floor docs faults bench-alignment bench-catalogue bench-compress bench-console bench-datasets bench-floor bench-memory bench-quality bench-playback bench-recorder bench-robots bench-sim bench-startup bench-teleop bench-writers soak setup setup-tests lint clean

demo: setup
	$(IN) $(if $(TASKS),python -m robot_recorder.sim.film $(if $(filter-out all,$(TASKS)),--tasks $(TASKS)),\
	  python $(VENV)/lib/robot_recorder/demo $(if $(EPISODES),--episodes $(EPISODES)) $(if $(SCENE),--place $(SCENE)))

dataset: $(if $(wildcard episodes/*/metadata.yaml),setup,demo)
	@$(PYTHON) tools/bootstrap.py --export
	$(IN) robot-recorder export $(if $(wildcard dataset),--update dataset,episodes --out dataset) && robot-recorder export verify dataset

console:
	@$(PYTHON) tools/bootstrap.py --console
	$(IN) python $(VENV)/lib/robot_recorder/demo --console $(ARGS)

teleop:
	@$(PYTHON) tools/bootstrap.py --console
	$(IN) python $(VENV)/lib/robot_recorder/demo --teleop --port 8080 $(ARGS)

test: setup-tests
	$(IN) $(if $(ARGS),$(PYTEST) $(ARGS),\
	  $(SIDE_BY_SIDE) -m "not alone and not console and not floor" $(if $(filter-out kilted,$(DISTRO)),$(MEETS_ROS),\
	  ; side=$$?; $(PYTEST) -m "alone and not console" && [ $$side = 0 ]) || $(AGAIN))

test-console: setup-tests
	$(IN) if_any() { "$$@" || [ $$? = 5 ]; }; { if_any $(SIDE_BY_SIDE) -m "console and not alone" test/console; side=$$?; \
	  if_any $(PYTEST) -m "console and alone" test/console && [ $$side = 0 ]; } || $(AGAIN)

test-floor:
	@$(PYTHON) tools/bootstrap.py --tests --floor
	$(IN) $(PYTEST) --cache-clear -m floor test/floor $(ARGS) || $(AGAIN)

floor:
	@$(PYTHON) tools/bootstrap.py --floor
	$(IN) robot-recorder floor demo $(ARGS)

test-datasets:
	@$(PYTHON) tools/bootstrap.py --tests --datasets
	$(IN) $(PYTEST) --cache-clear test/datasets test/dataset/formats test/dataset/test_ray_pool.py test/dataset/test_remote.py $(ARGS) || $(AGAIN)

docs:
	@$(PYTHON) tools/bootstrap.py --docs
	$(IN) NO_MKDOCS_2_WARNING=1 mkdocs --quiet build --strict && echo "see it: python3 -m http.server -d .cache/site"

faults: setup
	$(IN) FAULTS=100 pytest --basetemp=.cache/pytest test/nodes/test_faults.py test/episodes/test_recovery.py

soak: setup-tests
	$(IN) PYTHONPATH=test python bench/soak.py --hours $(or $(HOURS),8) $(ARGS)

bench-recorder: setup
	$(IN) python bench/recorder.py $(ARGS)

bench-memory: setup
	$(IN) python bench/memory.py $(ARGS)

bench-alignment: setup
	$(IN) python bench/alignment.py $(ARGS)

bench-catalogue: setup
	$(IN) python bench/catalogue.py $(ARGS)

bench-console: setup-tests
	$(IN) PYTHONPATH=test python bench/console.py $(ARGS)

bench-datasets:
	@$(PYTHON) tools/bootstrap.py --tests --datasets
	$(IN) PYTHONPATH=test python bench/exports.py $(ARGS)

bench-floor:
	@$(PYTHON) tools/bootstrap.py --tests --floor
	$(IN) PYTHONPATH=test python bench/floor_robots.py $(ARGS)

bench-quality: setup
	$(IN) python bench/quality.py $(ARGS)

bench-robots: setup-tests
	$(IN) PYTHONPATH=test python bench/robots.py $(ARGS)

bench-sim: setup-tests
	$(IN) PYTHONPATH=test python bench/sim.py $(ARGS)

bench-compress: setup-tests
	$(IN) PYTHONPATH=test python bench/compress.py $(ARGS)

bench-teleop: setup-tests
	$(IN) PYTHONPATH=test python bench/teleop.py $(ARGS)

bench-startup: setup
	$(IN) python bench/startup.py $(ARGS)

bench-writers: setup
	$(IN) python bench/writers.py $(ARGS)

bench-playback: setup-tests
	$(IN) python bench/playback.py $(ARGS)

setup:
	@$(PYTHON) tools/bootstrap.py

setup-tests:
	@$(PYTHON) tools/bootstrap.py --tests

lint: setup-tests
	$(IN) ruff check . && ruff format --check . && mypy

clean:
	rm -rf .venv .venv-* .cache build install log
