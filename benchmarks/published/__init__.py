"""The published table: one module for each row, `python3 -m benchmarks.published.NAME` prints one; `python3 tools/course.py bench published` writes the table."""
