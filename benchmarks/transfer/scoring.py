"""What a program is worth in a held-out task."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping

from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.render import RenderedPrompt
from search.benches import Bench
from search.choices import run_prompts


class Scorer:
    """Scores programs: on all test rows, or on a landscape in truth; the same prompts once.

    Args:
        bench: The benchmark.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._known: dict[str, float] = {}

    def __call__(self, program: CompiledProgram, task: str) -> float:
        """Returns the accuracy on test, or the expected score."""
        nodes = program.tasks[task].view.prompting_nodes
        prompts = {node: program.rendered(task, node) for node in nodes}
        key = json.dumps([task, *((node, prompt.id) for node, prompt in prompts.items())])
        if key not in self._known:
            self._known[key] = self._score(task, prompts)
        return self._known[key]

    def share(self, task: str, score: float) -> float | None:
        """Returns how far a score is on the way from base to optimum; ``None`` where these are not known."""
        known = self._bench.landscape
        if known is None:
            return None
        base = known.base(task)
        return (score - base) / (known.optimum(task) - base)

    def _score(self, task: str, prompts: Mapping[str, RenderedPrompt]) -> float:
        rows, known = self._bench.rows[task].test, self._bench.landscape
        if known is None:
            return statistics.mean(run_prompts(self._bench, prompts, row, self._bench.answer) for row in rows)
        chances = {}
        for prompt in prompts.values():
            _, node, chance = known.chance_of(
                prompt.messages({name: rows[0][name] for name in prompt.signature.input_fields})
            )
            chances[node] = chance
        return known.expected(chances)
