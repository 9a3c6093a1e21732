"""nbgrader's layout: solutions/STEM/STEM.ipynb is the source, exercises/STEM/STEM.ipynb what students get.

Hand-ins are expected as submitted/STUDENT/STEM/STEM.ipynb; that folder, the marked copies and the gradebook are ignored by git.
"""
c = get_config()  # noqa: F821 - defined by the loader

c.CourseDirectory.course_id = "deepgen"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".pytest_cache"]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError()  # your answer here"}
c.ClearSolutions.text_stub = "Your answer here."
c.ExecutePreprocessor.timeout = 300
