"""nbgrader's gradebook kept in step with the records, both ways: formgrader, export and feedback of nbgrader show what the records say.

    into the gradebook   assignment and cells, submission and its time, auto_score of each check, feedback as comment, late penalty (in points)
    out of it            scores and comments that a person gave in formgrader: they hold, whatever is graded again

A derivation or discussion has no auto_score and needs manual grading until somebody gives 0 to 3 points. A score by hand stays when the
hand-in is graded again; it is marked for another look where what it judged has changed.
"""
from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

import nbformat
from sqlalchemy.orm import selectinload
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from .assignment import Assignment
from .record import HAND, NOTHING, WAITS, Record
from .score import Result

BY_HAND = "changed by hand"


class Database:
    """One course's gradebook, where its nbgrader_config.py says, else gradebook.db."""

    def __init__(self, root: Path):
        from nbgrader.api import Gradebook  # slow to import
        from nbgrader.coursedir import CourseDirectory
        self.root, self.config = Path(root), Config()
        if (self.root / "nbgrader_config.py").exists():
            self.config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        self.config.CourseDirectory.root = str(self.root.resolve())
        course = CourseDirectory(config=self.config)
        self.url = course.db_url
        with _own_programs():
            self.book = Gradebook(self.url, course.course_id)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_) -> None:
        self.book.close()

    def enter_assignment(self, chapter: str, released: Path, *, due: datetime | None = None) -> str:
        """Let the gradebook know the cells of a chapter, as nbgrader generate_assignment does.  -> "" or why it could not."""
        self.book.update_or_create_assignment(chapter, **({"duedate": due.astimezone(timezone.utc).replace(tzinfo=None).isoformat()} if due else {}))
        source = released.resolve().parent.parent.parent / "solutions" / chapter / f"{chapter}.ipynb"
        notebook = nbformat.read(source if source.exists() else released, as_version=4)
        if self._known(chapter, notebook):
            return ""
        from nbgrader import preprocessors as steps
        resources = {"nbgrader": {"assignment": chapter, "notebook": chapter, "student": ".", "db_url": self.url}}
        try:
            for step in ("LockCells", *(["ClearSolutions"] if source.exists() else []), "ClearOutput", "ComputeChecksums", "SaveCells"):
                notebook, resources = getattr(steps, step)(config=self.config).preprocess(notebook, resources)
        except RuntimeError as error:  # nbgrader's own rule: no cell may come or go once hand-ins are known
            return f"{chapter}: nbgrader's gradebook knows other cells than the notebook has ({error}); formgrader will not show all. Start the term with a new gradebook.db"
        self.book.db.expire_all()
        return ""

    def _known(self, chapter: str, notebook) -> bool:
        from nbgrader.api import MissingEntry
        try:
            known = self.book.find_notebook(chapter, chapter)
        except MissingEntry:
            return False
        about = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
        graded = {one["grade_id"]: float(one["points"]) for one in about if one.get("grade") or one.get("task")}
        return graded == {cell.name: cell.max_score for cell in (*known.grade_cells, *known.task_cells)} and {one["grade_id"] for one in about if one.get("solution")} == {cell.name for cell in known.solution_cells}

    def submissions(self, chapter: str) -> dict[str, object]:
        """Student -> what the gradebook has of this chapter, all of it read at once."""
        from nbgrader.api import Assignment as Row, SubmittedAssignment, SubmittedNotebook
        found = self.book.db.query(SubmittedNotebook).join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id).join(Row, Row.id == SubmittedAssignment.assignment_id)
        found = found.filter(Row.name == chapter).options(selectinload(SubmittedNotebook.grades), selectinload(SubmittedNotebook.comments), selectinload(SubmittedNotebook.assignment))
        return {one.assignment.student_id: one for one in found if one.name == chapter}

    def step(self, records: list[Record], assignment: Assignment, *, changed: set[str] = frozenset()) -> list[Record]:
        """Enter these records of one chapter, and return them with what a person gave.  `changed`: students whose text for a person is another than before."""
        if not records:
            return []
        chapter, kept = records[0].chapter, []
        known = self.submissions(chapter)
        if new := [record.student for record in records if record.student not in known]:
            for student in new:
                self.book.update_or_create_student(student)
                with self.book.db.no_autoflush:  # half-made rows would be flushed, and warned of
                    self.book.update_or_create_submission(chapter, student)
            known = self.submissions(chapter)
        for record in records:
            row = known[record.student]
            row.assignment.timestamp = datetime.fromisoformat(record.submitted_at).astimezone(timezone.utc).replace(tzinfo=None) if record.submitted_at else None
            _enter_scores(row, record, assignment, record.student in changed)
            kept.append(_with_hand(row, record, assignment))
        for record, new in zip(records, kept):
            known[new.student].late_submission_penalty = round(new.points * new.penalty, 4) if new.penalty else None
        self.book.db.commit()
        return kept


@contextlib.contextmanager
def _own_programs():
    """nbgrader calls alembic by name, which lies beside this Python."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _enter_scores(row, record: Record, assignment: Assignment, changed: bool) -> None:
    grades, comments = {grade.name: grade for grade in row.grades}, {comment.name: comment for comment in row.comments}
    results = {result.exercise: result for result in record.results if result.part != HAND}
    for task in assignment.tasks:
        grade, result = grades.get(task.check), results.get(task.exercise.id)
        if grade is None or result is None:
            continue
        needs = grade.manual_score is not None and (bool(grade.needs_manual_grade) or (grade.auto_score is not None and grade.auto_score != result.points))
        _set(grade, auto_score=result.points, needs_manual_grade=needs)
        if task.grade_ids and (comment := comments.get(task.grade_ids[0])):
            _set(comment, auto_comment=_said(result))
    said = {result.exercise: result for result in record.results if result.part == HAND}
    for one in assignment.written:
        if (grade := grades.get(one.grade_id)) is None:
            continue
        empty = one.grade_id in said and said[one.grade_id].feedback == NOTHING
        given = grade.manual_score is not None
        _set(grade, auto_score=0.0 if empty else None, needs_manual_grade=(changed or bool(grade.needs_manual_grade)) if given else not empty)
        if comment := comments.get(one.grade_id):
            _set(comment, auto_comment="No response." if empty else None)


def _set(row, **values) -> None:
    """Only what differs is written."""
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def _said(result: Result) -> str:
    hint = f"\n\nHint: {result.hint}" if result.hint else ""
    return f"{result.exercise}: {result.feedback}{''.join(f'{chr(10)}{chr(10)}Note: {note}' for note in result.notes)}{hint}"


def _with_hand(row, record: Record, assignment: Assignment) -> Record:
    """The record with the points and words that a person gave."""
    grades = {grade.name: grade for grade in row.grades}
    comments = {comment.name: comment.manual_comment for comment in row.comments}
    results = [result for result in record.results if result.part != HAND]
    own = {result.exercise: result for result in results}
    for task in assignment.tasks:
        grade, words = grades.get(task.check), [comments[name] for name in (*task.grade_ids, task.check) if comments.get(name)]
        if grade is None or task.exercise.id not in own or (grade.manual_score is None and not grade.extra_credit and not words):
            continue
        score = _score(grade, own[task.exercise.id].points)
        results.append(Result(task.exercise.id, f"{task.exercise.title}, {BY_HAND}", score - own[task.exercise.id].points, 0.0, "", " ".join(words), HAND, "", "", (), 0.0))
    for result in (result for result in record.results if result.part == HAND and result.exercise in {one.grade_id for one in assignment.written}):
        grade = grades.get(result.exercise)
        result = result if result.feedback == NOTHING else result._replace(points=0.0, feedback=WAITS)
        if grade is not None and (grade.manual_score is not None or grade.extra_credit):
            words = comments.get(result.exercise) or "graded by hand"
            result = result._replace(points=_score(grade, 0.0), feedback=f"{words} (your answer has changed since: it {WAITS} again)" if grade.needs_manual_grade else words)
        elif grade is not None and comments.get(result.exercise):
            result = result._replace(feedback=f"{WAITS}; so far: {comments[result.exercise]}")
        results.append(result)
    points = sum(result.points for result in results)
    return record._replace(results=tuple(results), points=points, final=round(points * (1 - record.penalty), 4))


def _score(grade, auto: float) -> float:
    return (auto if grade.manual_score is None else grade.manual_score) + (grade.extra_credit or 0.0)
