"""Right answers to the exercises, written in other ways than the check's own: one file per file of deepgen_lib/checks.

Each file has RIGHT = {"1.1": [answer, another], ...}, at least two per exercise; where an exercise has several parts, an
answer is a tuple with one entry per part.
"""
