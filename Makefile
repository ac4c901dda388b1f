# make demo   set up, then record episodes of a simulated humanoid
# make test   set up, then run the tests
# make dataset    record, unless there are episodes, and make a LeRobot dataset of them: five minutes from a clone
# make test-datasets    set up, then let LeRobot, h5py, Zarr and WebDataset read what is exported, and export on Ray and to S3:
#                       2 GB more, five minutes
# make docs   set up, then build the documentation as a searchable site: .cache/site/index.html
# make faults   the faults among them, a hundred kills: half an hour
# make bench-writers    which bag writer, by CPU and by what a kill costs: a minute
# make bench-alignment  how well streams are aligned, against known truth and beside others: five minutes
# make bench-quality    which defects are found, how soon after a stop, and what checking costs: quarter of an hour
# make bench-playback   how soon an episode is seen, how well it is played, with how much memory: five minutes
# make bench-recorder   what recording costs, loses, and how fast it starts and stops: half an hour
# make bench-memory     what memory recording holds, over one long episode and many short ones: an hour and a quarter
# make bench-robots     which defects are found in takes of all robots and devices, and what their messages cost: ten minutes
# make bench-datasets   how fast, true and small in memory exports are, beside LeRobot's own writer: fifteen minutes
# make bench-catalogue  how fast a catalogue of six million episodes answers, counts and takes in: ten minutes
PYTHON ?= python3
SHELL := /bin/bash
IN := . tools/env.sh &&

.PHONY: demo dataset test test-datasets docs faults bench-alignment bench-catalogue bench-datasets bench-memory bench-quality bench-playback bench-recorder bench-robots bench-writers setup setup-tests lint clean

demo: setup
	$(IN) python .venv/lib/robot_recorder/demo $(if $(EPISODES),--episodes $(EPISODES))

dataset: $(if $(wildcard episodes/*/metadata.yaml),setup,demo)
	@$(PYTHON) tools/bootstrap.py --export
	$(IN) robot-recorder export $(if $(wildcard dataset),--update dataset,episodes --out dataset) && robot-recorder export verify dataset

test: setup-tests
	$(IN) $(if $(ARGS),pytest --basetemp=.cache/pytest $(ARGS),\
	  pytest --basetemp=.cache/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone"; side=$$?; \
	  pytest --basetemp=.cache/pytest -m alone && exit $$side)

test-datasets:
	@$(PYTHON) tools/bootstrap.py --tests --datasets
	$(IN) pytest --basetemp=.cache/pytest test/datasets test/dataset/formats test/dataset/test_ray_pool.py test/dataset/test_remote.py $(ARGS)

docs:
	@$(PYTHON) tools/bootstrap.py --docs
	$(IN) NO_MKDOCS_2_WARNING=1 mkdocs --quiet build --strict && echo "see it: python3 -m http.server -d .cache/site"

faults: setup
	$(IN) FAULTS=100 pytest --basetemp=.cache/pytest test/nodes/test_faults.py test/episodes/test_recovery.py

bench-recorder: setup
	$(IN) python bench/recorder.py $(ARGS)

bench-memory: setup
	$(IN) python bench/memory.py $(ARGS)

bench-alignment: setup
	$(IN) python bench/alignment.py $(ARGS)

bench-catalogue: setup
	$(IN) python bench/catalogue.py $(ARGS)

bench-datasets:
	@$(PYTHON) tools/bootstrap.py --tests --datasets
	$(IN) PYTHONPATH=test python bench/exports.py $(ARGS)

bench-quality: setup
	$(IN) python bench/quality.py $(ARGS)

bench-robots: setup-tests
	$(IN) PYTHONPATH=test python bench/robots.py $(ARGS)

bench-writers: setup
	$(IN) python bench/writers.py $(ARGS)

bench-playback: setup-tests
	$(IN) python bench/playback.py $(ARGS)

setup:
	@$(PYTHON) tools/bootstrap.py

setup-tests:
	@$(PYTHON) tools/bootstrap.py --tests

lint: setup
	$(IN) ruff check . && ruff format --check . && mypy

clean:
	rm -rf .venv .cache build install log
