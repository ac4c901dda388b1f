# make demo   set up, then record episodes of a simulated humanoid
# make test   set up, then run the tests
PYTHON ?= python3
SHELL := /bin/bash
IN := . tools/env.sh &&

.PHONY: demo test setup lint clean

demo: setup
	$(IN) python .venv/lib/robot_recorder/demo $(if $(EPISODES),--episodes $(EPISODES))

test: setup
	$(IN) pytest --basetemp=.cache/pytest $(ARGS)

setup:
	@$(PYTHON) tools/bootstrap.py

lint: setup
	$(IN) ruff check . && ruff format --check . && mypy

clean:
	rm -rf .venv .cache build install log
