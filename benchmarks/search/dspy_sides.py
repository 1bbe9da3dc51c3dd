"""DSPy's optimizers as sides: MIPROv2 with the fragments as its candidates, and BootstrapFewShotWithRandomSearch."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dspy

from search.calls import CallsSpentError, dspy_lm
from search.choices import Prompter, Row, Runner, right
from search.sides import Found, Terms, side

_LEAST_VAL, _MOST_VAL, _SHARE_OF_VAL = 10, 100, 8  # MIPROv2's "light" has 100; a full evaluation is an eighth of calls
_MINIBATCH = 0.35  # of val, as MIPROv2 has it at 100
_MOST_TOGETHER = 6  # fragments in one instruction candidate
_BOOTSTRAPPING = 12  # calls that bootstrapping four demonstrations takes, about

_WITHOUT_DRAW = 3  # programs that it tries beside the drawn ones


class Chain(dspy.Module):
    """A benchmark's program in one task, of ``dspy.Predict`` in a row.

    Args:
        signatures: Node → what is asked, in order.
    """

    def __init__(self, signatures: Mapping[str, Any]) -> None:
        super().__init__()
        self.order = list(signatures)
        for node, signature in signatures.items():
            setattr(self, node, dspy.Predict(signature))

    def forward(self, **inputs: Any) -> Any:
        """Returns all that the nodes say."""
        values = dict(inputs)
        for node in self.order:
            predict = getattr(self, node)
            said = predict(**{name: values[name] for name in predict.signature.input_fields})
            values.update(said.items())
        return dspy.Prediction(**values)


class Task:
    """One task of the benchmark for DSPy.

    Args:
        terms: What the side gets.
        name: The task.
    """

    def __init__(self, terms: Terms, name: str) -> None:
        self.terms = terms
        self.name = name
        self.prompter = Prompter(terms.bench)
        self.nodes = self.prompter.nodes(name)
        program = terms.bench.views[name].program
        self.student = Chain({node: program.prompted(node) for node in self.nodes})
        self.lm = dspy_lm(terms.meter)
        self.inputs = [*terms.bench.graph.inputs]
        rows = list(terms.bench.rows[name].val)
        random.Random(f"{terms.seed} {name}").shuffle(rows)
        size = max(_LEAST_VAL, min(_MOST_VAL, terms.calls // len(self.nodes) // _SHARE_OF_VAL))
        self.val = self.examples(rows[:size])
        self.train = self.examples(terms.bench.rows[name].train)

    def examples(self, rows: Sequence[Row]) -> list[Any]:
        """Returns rows as DSPy has them."""
        return [dspy.Example(**row).with_inputs(*self.inputs) for row in rows]

    def metric(self, example: Any, prediction: Any, trace: Any = None) -> bool:
        """Is the output right?"""
        return right(self.terms.bench, example, getattr(prediction, self.terms.bench.output, None))

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """DSPy's settings for this model: no second question in another format, nothing printed."""
        adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
        silent = io.StringIO()
        with (
            dspy.context(lm=self.lm, adapter=adapter, disable_history=True),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            yield

    def runner(self, program: Any) -> Runner:
        """Returns a compiled program."""

        def run(row: Row) -> bool:
            with self.settings():
                try:
                    return self.metric(row_as_example(row), program(**{name: row[name] for name in self.inputs}))
                except dspy.utils.exceptions.AdapterParseError:
                    return False

        return run


def row_as_example(row: Row) -> Any:
    """Returns a row as an example without inputs."""
    return dspy.Example(**row)


class PooledMIPROv2(dspy.MIPROv2):
    """MIPROv2 that is given its candidates, and goes on until its calls are spent.

    Args:
        instructions: For every node its instruction candidates, the one as written first.
        demos: For every node its candidates of demonstrations, none first; ``None`` where there are no others.
        arguments: Those of MIPROv2.
    """

    def __init__(
        self, instructions: Sequence[Sequence[str]], demos: Sequence[Sequence[Any]] | None, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.instructions = instructions
        self.demos = demos
        self.incumbent: Any = None

    def _bootstrap_fewshot_examples(self, *arguments: Any, **named: Any) -> Any:
        return self.demos

    def _propose_instructions(self, *arguments: Any, **named: Any) -> Any:
        return {place: list(mine) for place, mine in enumerate(self.instructions)}

    def _perform_full_evaluation(self, *arguments: Any, **named: Any) -> Any:
        result = super()._perform_full_evaluation(*arguments, **named)
        self.incumbent = result[1]
        return result


@side("MIPROv2")
def mipro(terms: Terms) -> Found:
    """MIPROv2 for each task: it chooses among instructions made of the fragments, and among sets of demonstrations."""
    runners = {}
    for number, each in enumerate(terms.bench.tasks):
        task = Task(terms, each.name)
        terms.meter.grant(terms.calls)
        instructions, demos = _candidates(task)
        some_demos = any(len(mine) > 1 for mine in demos)
        minibatch = max(5, int(len(task.val) * _MINIBATCH))
        optimizer = PooledMIPROv2(
            instructions,
            demos if some_demos else None,
            metric=task.metric,
            prompt_model=task.lm,
            task_model=task.lm,
            auto=None,
            num_candidates=max(map(len, instructions)),
            max_bootstrapped_demos=0,
            max_labeled_demos=int(some_demos),
            num_threads=1,
            seed=terms.seed * 1000 + number + 1,
        )
        program = task.student
        with task.settings():
            try:
                program = optimizer.compile(
                    task.student,
                    trainset=task.train,
                    valset=task.val,
                    num_trials=4 * terms.calls // minibatch,
                    minibatch_size=minibatch,
                )
            except CallsSpentError:
                program = optimizer.incumbent or program
        runners[each.name] = task.runner(program)
    return Found(runners)


def _candidates(task: Task) -> tuple[list[list[str]], list[list[list[Any]]]]:
    """For every node the instructions and the demonstrations to choose from.

    Instructions are as written, then each text alone, then as many draws of several texts together.
    """
    draw = random.Random(f"{task.terms.seed} {task.name} candidates")
    instructions, demos = [], []
    for node in task.nodes:
        contents = task.prompter.contents(task.name, node)
        texts = sorted(key for key, content in contents.items() if isinstance(content, str))
        sets: list[list[str]] = [[], *([key] for key in texts)]
        most = min(_MOST_TOGETHER, len(texts))
        if most > 1:
            sets += [draw.sample(texts, draw.randint(2, most)) for _ in texts]
        written = [
            task.prompter.prompts(task.name, {node: frozenset(chosen)})[node].composition.instructions
            for chosen in sets
        ]
        instructions.append(list(dict.fromkeys(written)))
        shown = [content for _, content in sorted(contents.items()) if not isinstance(content, str)]
        demos.append([[], *([dspy.Example(**demo) for demo in content] for content in shown)])
    return instructions, demos


@side("BootstrapFewShotWithRandomSearch")
def bootstrap(terms: Terms) -> Found:
    """BootstrapFewShotWithRandomSearch for each task: demonstrations alone; it has no use for texts."""
    runners = {}
    for each in terms.bench.tasks:
        task = Task(terms, each.name)
        terms.meter.grant(terms.calls)
        programs = terms.calls // len(task.nodes) // (len(task.val) + _BOOTSTRAPPING)
        for count in range(max(0, programs - _WITHOUT_DRAW), -_WITHOUT_DRAW, -1):
            with task.settings():
                optimizer = dspy.BootstrapFewShotWithRandomSearch(
                    metric=task.metric, num_candidate_programs=count, num_threads=1
                )
                try:
                    program = optimizer.compile(task.student, trainset=_in_turns(task), valset=task.val)
                    break
                except CallsSpentError:
                    continue  # with one candidate less: what was asked before costs nothing
        runners[each.name] = task.runner(program)
    return Found(runners)


def _in_turns(task: Task) -> list[Any]:
    """Training rows in an order of their own for every seed."""
    rows = list(task.train)
    random.Random(f"{task.terms.seed} {task.name} train").shuffle(rows)
    return rows
