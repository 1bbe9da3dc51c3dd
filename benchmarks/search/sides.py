"""Sides: what compiles a benchmark's tasks with a number of calls."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

import fusionprog as fp
from fusionprog.runtime.compiled import CompiledProgram
from search.benches import Bench
from search.calls import Meter, MeteredModel
from search.choices import Choice, Prompter, Row, Runner, run_prompts


@dataclass(frozen=True, eq=False)
class Terms:
    """What every side gets.

    Attributes:
        bench: The benchmark: tasks, train and val rows, fragments.
        meter: The language model.
        calls: Calls per task.
        seed: For the side's draws.
    """

    bench: Bench
    meter: Meter
    calls: int
    seed: int


@dataclass(frozen=True)
class Found:
    """What a side found.

    Attributes:
        runners: Task → the program.
        reported: Task → the score that the side itself reports; empty where it reports none.
        notes: Anything worth knowing.
    """

    runners: Mapping[str, Runner]
    reported: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


Side = Callable[[Terms], Found]
SIDES: dict[str, Side] = {}


def side(name: str) -> Callable[[Side], Side]:
    """Enters a side under a name."""

    def enter(entry: Side) -> Side:
        SIDES[name] = entry
        return entry

    return enter


def compile_tasks(terms: Terms, tasks: Sequence[fp.Task], **more: Any) -> CompiledProgram:
    """Compiles tasks with fusionprog, with as many calls as they have together."""
    calls = terms.calls * len(tasks)
    terms.meter.grant(calls)
    return fp.compile(
        terms.bench.program,
        tasks,
        pool=terms.bench.pool,
        lm=MeteredModel(terms.meter, terms.bench.identity),
        budget=fp.Budget(calls=calls),
        seed=terms.seed,
        progress=False,
        **more,
    )


def found_by(compiled: CompiledProgram, terms: Terms) -> Found:
    """Returns a compiled program as what a side found."""

    def runner(task: str) -> Runner:
        prompts = {node: compiled.rendered(task, node) for node in terms.bench.views[task].prompting_nodes}
        return lambda row: run_prompts(terms.bench, prompts, row, terms.meter)

    record = compiled.record
    return Found(
        {task: runner(task) for task in compiled.tasks},
        {task: mine.confirmation.after.mean for task, mine in record.tasks.items() if mine.confirmation},
        {"improved": record.improved, "phases": dict(record.phases), "why": record.notes[-1]},
    )


@side("fusionprog")
def fusionprog(terms: Terms) -> Found:
    """One compile for all tasks."""
    return found_by(compile_tasks(terms, terms.bench.tasks), terms)


@side("fusionprog-separate")
def separate(terms: Terms) -> Found:
    """A compile for each task, with as many calls in all."""
    parts = [found_by(compile_tasks(terms, [task]), terms) for task in terms.bench.tasks]
    return Found(
        {task: mine for part in parts for task, mine in part.runners.items()},
        {task: mine for part in parts for task, mine in part.reported.items()},
        {"improved": sum(part.notes["improved"] for part in parts)},
    )


@side("as written")
def as_written(terms: Terms) -> Found:
    """The program with no fragment."""
    prompter = Prompter(terms.bench)
    return Found({task.name: prompter.runner(task.name, {}, terms.meter) for task in terms.bench.tasks})


@side("random")
def random_search(terms: Terms) -> Found:
    """Random choices of fragments."""
    return _search_flags(terms, lambda seed, trials: optuna.samplers.RandomSampler(seed=seed))


@side("tpe")
def tpe(terms: Terms) -> Found:
    """Optuna's TPE over a flag for every fragment."""
    return _search_flags(
        terms,
        lambda seed, trials: optuna.samplers.TPESampler(
            seed=seed, multivariate=True, n_startup_trials=max(4, min(20, trials // 4))
        ),
    )


_CONFIRMING, _FINALISTS = 0.35, 5  # share of the calls that finalists are compared with, and how many they are


def _search_flags(terms: Terms, sampler: Callable[[int, int], optuna.samplers.BaseSampler]) -> Found:
    """Searches for each task alone: trials on minibatches, then the best on rows that nothing was searched on.

    The program as written is a finalist; the best mean wins, with no test of its significance.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    prompter = Prompter(terms.bench)
    runners = {}
    for number, task in enumerate(each.name for each in terms.bench.tasks):
        terms.meter.grant(terms.calls)
        draw = random.Random(f"{terms.seed} {task}")
        rows = list(terms.bench.rows[task].val)
        draw.shuffle(rows)
        confirming, searching = rows[: len(rows) // 3], rows[len(rows) // 3 :]
        a_row = len(prompter.nodes(task))
        batch = min(20, len(searching), max(4, terms.calls // (25 * a_row)))
        confirmed_on = min(len(confirming), int(terms.calls * _CONFIRMING / (_FINALISTS + 1) / a_row))
        keep = confirmed_on * (_FINALISTS + 1) * a_row
        trials = (terms.calls - keep) // (batch * a_row)
        study = optuna.create_study(direction="maximize", sampler=sampler(terms.seed * 1000 + number, trials))
        tried: dict[tuple[tuple[str, tuple[str, ...]], ...], list[float]] = {}
        while terms.meter.left - keep >= batch * a_row and len(study.trials) < 2 * trials:
            trial = study.ask()
            choice = {
                node: tuple(
                    key
                    for key in prompter.offered(task, node)
                    if trial.suggest_categorical(f"{node}.{key}", [False, True])
                )
                for node in prompter.nodes(task)
            }
            value = _mean(prompter, terms, task, choice, draw.sample(searching, batch))
            study.tell(trial, value)
            tried.setdefault(tuple(sorted(choice.items())), []).append(value)
        ranked = sorted(tried, key=lambda each: -statistics.mean(tried[each]))
        written: dict[str, tuple[str, ...]] = {node: () for node in prompter.nodes(task)}
        finalists = [written, *(dict(each) for each in ranked[:_FINALISTS])]
        shown = confirming[:confirmed_on]
        best = max(finalists, key=lambda each: _mean(prompter, terms, task, each, shown))
        runners[task] = prompter.runner(task, _as_choice(best), terms.meter)
    return Found(runners)


def _as_choice(chosen: Mapping[str, Sequence[str]]) -> Choice:
    return {node: frozenset(items) for node, items in chosen.items()}


def _mean(
    prompter: Prompter, terms: Terms, task: str, choice: Mapping[str, Sequence[str]], rows: Sequence[Row]
) -> float:
    runner = prompter.runner(task, _as_choice(choice), terms.meter)
    return statistics.mean(float(runner(row)) for row in rows)
