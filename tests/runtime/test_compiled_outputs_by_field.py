"""A task may return any field of any node, and rows are typed alike in compiles and calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fusionprog as fp


def test_a_task_may_name_fields_of_nodes_as_its_outputs(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    tasks = [replace(task, outputs=["triage.team", "answer.reasoning"]) for task in desk_tasks[:1]]
    compiled = fp.compile(desk_program, tasks, lm="offline", trials=8, budget=fp.Budget(calls=300), progress=False)
    prediction = compiled("shop", message="where is the parcel")
    assert prediction["triage.team"] in {"billing", "delivery", "returns"}
    assert prediction["answer.reasoning"]
    assert "answer.reply" in prediction  # computed on the way, so it is there too


def test_rows_from_csv_are_typed_as_in_a_call(tmp_path: Any) -> None:
    class Grade(fp.Signature):
        """Grade the points."""

        points: int = fp.InputField()
        grade: str = fp.OutputField()

    class Grades(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.double = fp.modules.Function(double, outputs={"twice": int})
            self.grade = fp.modules.Predict(Grade)

        def forward(self, points: int) -> Any:
            return self.grade(points=self.double(points=points).twice).grade

    def double(points: int) -> int:
        assert type(points) is int
        return 2 * points

    file = tmp_path / "rows.csv"
    file.write_text("points,grade\n" + "".join(f"{n},{'pass' if n > 20 else 'fail'}\n" for n in range(44)))
    task = fp.Task(
        "grades",
        labels={"grade.grade": ["pass", "fail"]},
        train=[{"points": 100, "grade": "pass"}],
        val=file,
        metric=fp.metrics.exact_match("grade"),
    )
    compiled = fp.compile(Grades(), [task], lm="offline", trials=8, budget=fp.Budget(calls=400), progress=False)
    assert compiled.evaluate(data=file).score.n == 44
