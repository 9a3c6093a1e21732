"""Graded variants of the exercises, made from templates and a secret key: `make private` with DEEPGEN_PRIVATE=FOLDER.

    draw.py      the key decides: the same key, the same choices
    variant.py   one variant: what is asked, right answers, wrong ones, a proof; as the text of a module
    prove.py     every answer against its proof (enumeration, numeric integration), every wrong answer refused
    bound.py units.py bug.py stacks.py priors.py codes.py relative.py    the templates
    page.py      a chapter's notebook: prompts, starts, grade cells, one derivation
    course.py    the private folder: what is written, what is kept because it was changed by hand
    place.py     where that folder may lie, and its key
    scan.py      does anything of it stand in files of the repository?

The templates are public. What is secret is the choice: which units, which prior, which signs, which bug, which names.
A template composes its answer of independent pieces, so there is no list of ready answers to look one up in.
"""
