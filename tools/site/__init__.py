"""The reading site:  make site [ARGS="--frames 01 05"]

Every lecture with its outputs, the exercises with folding hints, the reference pages, the ledger and the guide for teachers, as pages that
need no kernel, no network and no server: open site/index.html. Sliders stay live: their frames are drawn beforehand by the same functions.

    staging.py     the repository's notebooks and texts -> the folder that Sphinx reads
    outputs.py     what a cell showed -> HTML: pictures with their alternative texts, sliders, predictions
    frames.py      run a notebook once more and draw every frame of every slider
    extension.py   for Sphinx: equations as MathML, claims that link to their proof
    checks.py      links that lead nowhere, pages that ask another machine, pictures that say nothing
"""
