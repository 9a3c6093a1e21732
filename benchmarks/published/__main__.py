"""Write the published table from the committed results, or first measure again what a processor can within an hour.

    python3 tools/course.py bench published            read the results, write benchmarks/results/published.{json,md}
    python3 tools/course.py bench published --measure  run, row after row, those that together take at most 60 processor minutes; say what the others need
"""
import sys

from .build import measure, write

if __name__ == "__main__":
    if "--measure" in sys.argv[1:]:
        measure()
    write()
