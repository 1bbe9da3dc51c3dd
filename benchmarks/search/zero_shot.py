"""A compiled program in tasks that it was not compiled for: by their embeddings alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import fusionprog as fp
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.render import RenderedPrompt
from search.benches import Bench, landscape_bench
from search.calls import Meter
from search.sides import Terms, compile_tasks
from search.variants import WITHOUT_KINDS

SAMPLERS = {"joint": "effects", "b alone": WITHOUT_KINDS}


def prompts_for(compiled: CompiledProgram, task: fp.Task) -> Mapping[str, RenderedPrompt]:
    """Returns node → the prompt of a task that the program was not compiled for."""
    adapted = compiled.adapt(task, trials=0)
    return {node: adapted.rendered(task.name, node) for node in adapted.tasks[task.name].view.prompting_nodes}


def shares(bench: Bench, calls: int, seed: int, sampler: str) -> dict[str, Any]:
    """Compiles the source tasks and returns how far the left-out ones come.

    Returns:
        The mean share of the way from base to optimum over left-out tasks (``share``) and over source tasks
        (``source``); at most 1, and below 0 where the score is below the base.
    """
    known = bench.landscape
    assert known is not None
    meter = Meter(bench.answer)
    compiled = compile_tasks(Terms(bench, meter, calls, seed), bench.tasks, sampler=sampler)

    def share(task: fp.Task, prompts: Mapping[str, RenderedPrompt]) -> float:
        row = bench.rows[task.name].test[0]
        chances = {}
        for prompt in prompts.values():
            _, node, chance = known.chance_of(
                prompt.messages({name: row[name] for name in prompt.signature.input_fields})
            )
            chances[node] = chance
        base, best = known.base(task.name), known.optimum(task.name)
        return (known.expected(chances) - base) / (best - base)

    unclipped = replace(compiled.schedule, as_written=())
    source = {
        task.name: {node: compiled.rendered(task.name, node) for node in bench.views[task.name].prompting_nodes}
        for task in bench.tasks
    }
    return {
        "seed": seed,
        "calls": calls,
        "sampler": sampler,
        "asked": meter.count,
        "improved": compiled.record.improved,
        "open": len([item for item, value in unclipped.everywhere.items() if value > 0]),
        "share": statistics.mean(share(task, prompts_for(compiled, task)) for task in bench.left_out),
        "source": statistics.mean(share(task, source[task.name]) for task in bench.tasks),
    }


def compare(name: str, calls: int, seeds: int, left_out: int) -> dict[str, list[dict[str, Any]]]:
    """Returns for the effects model with and without kinds of task what ``shares`` says of each landscape."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SAMPLERS}
    for seed in range(seeds):
        bench = landscape_bench(name, seed, left_out=left_out)
        for side, sampler in SAMPLERS.items():
            found[side].append(shares(bench, calls, seed, sampler))
            print(f"seed {seed} {side}: {found[side][-1]}", flush=True)
    return found
