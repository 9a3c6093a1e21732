"""Grading by value, in isolation: from one submitted notebook to points and one sentence of feedback per exercise.

    from grading.score import Grader
    with Grader("exercises/08_vae/08_vae.ipynb", key="this term's secret") as grader:
        print(grader.isolation)                       # what keeps the students' code apart here
        mark = grader.mark("submitted/ada/08_vae/08_vae.ipynb")
        for result in mark.results:
            print(result.exercise, result.points, result.feedback)

An answer is found by the names that its exercise asks for (find.py), and is run by a child of a worker process (sandbox.py,
worker.py, player.py, fence.py). Inputs go there and outputs come back as arrays, numbers and text (wire.py), never pickled.
Right answers, wrong answers and checks stay here; the engine of the checks compares (remote.py, score.py).
"""
