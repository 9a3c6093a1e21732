# make VERB [CHAPTER=...] [ARGS="..."] [TORCH=cpu] [PYTHON=python3.12] is the same as python3 tools/course.py VERB ...
PYTHON ?= python3
ARGS ?=
CHAPTER =
export TORCH

.PHONY: help setup lab update test build release site slides pdf key exam grade private report bench
help:
	@$(PYTHON) tools/course.py help

setup lab update test build release site slides pdf key exam grade private report bench:
	@$(PYTHON) tools/course.py $@ $(CHAPTER) $(ARGS)
