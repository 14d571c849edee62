"""What each set of weights is taught: one module a dialect, each with its `LESSON`."""

from __future__ import annotations

from training.lesson import Lesson
from training.lessons import arithmetic, graph, hanoi, hanoi_moves, sorting

LESSONS: dict[str, Lesson] = {
    lesson.dialect.name: lesson
    for lesson in (hanoi.LESSON, hanoi_moves.LESSON, arithmetic.LESSON, sorting.LESSON, graph.LESSON)
}
