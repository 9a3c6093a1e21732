# make VERB [CHAPTER=...] [ARGS="..."] [TORCH=cpu] [PYTHON=python3.12] is the same as python3 tools/course.py VERB ...
# Unless one is named: the Python that .venv was made with, where there is one that runs, else python3.
PYTHON ?= $(shell .venv/bin/python -c 'print(".venv/bin/python")' 2>/dev/null || echo python3)
ARGS ?=
CHAPTER =
export TORCH

.PHONY: help setup lab update test build release site slides pdf key exam grade private report bench
help:
	@$(PYTHON) tools/course.py help

setup lab update test build release site slides pdf key exam grade private report bench:
	@$(PYTHON) tools/course.py $@ $(CHAPTER) $(ARGS)
