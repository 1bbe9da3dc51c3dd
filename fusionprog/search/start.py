"""What a compile may start from: a program that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import Metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.program.variants import picks_that_matter
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.render import RenderedPrompt

DEFAULT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Start:
    """What a compile starts from.

    Attributes:
        program: What is known, and the basis that tasks are seen in.
        incumbent: What the compile's tasks follow so far, which is measured beside what is found; ``None`` where they
            are new.
        held: The nodes that keep the incumbent's prompts.
        tolerance: How much lower a task's measured score may be than the incumbent's, for what it shares with others;
            ``None`` where it must be proven to be higher to take the incumbent's place.
        spared: Whether the incumbent is not measured where that would leave few rows to what is found.
    """

    program: CompiledProgram
    incumbent: CompiledProgram | None = None
    held: tuple[str, ...] = ()
    tolerance: float | None = None
    spared: bool = False


@dataclass(frozen=True, eq=False)
class Incumbent:
    """A program as the bench measures it: by the prompts that it has.

    Attributes:
        program: The program.
        metrics: Task → metric.
    """

    program: CompiledProgram
    metrics: Mapping[str, Metric]

    @property
    def schedule(self) -> Schedule:
        """Stands for it where schedules are measured."""
        return self.program.schedule

    @cached_property
    def scorers(self) -> Mapping[str, TaskScorer]:
        """Task → how it is scored."""
        made = {}
        for task, metric in self.metrics.items():
            scorer = make_scorer(self.program.variant(task), metric, self.program.models_in(task))
            written = self.program.tasks[task].view.program.graph
            mine = picks_that_matter(written, self.program.schedule.picks(task))
            picks = tuple((node, *each) for node in sorted(mine) for each in sorted(mine[node].items()))
            made[task] = replace(scorer, picks=tuple(each for each in picks if each[0] in scorer.nodes))
        return made

    @cached_property
    def prompts(self) -> Mapping[str, Mapping[str, RenderedPrompt]]:
        """Task → node → prompt, for the nodes that ask a model for the task's metric."""
        return {
            task: {node: self.program.rendered(task, node) for node in scorer.asking}
            for task, scorer in self.scorers.items()
        }
