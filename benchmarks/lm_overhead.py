"""What a model call costs in Python, beside ``dspy.Evaluate``: CPU time per call with a model that answers at once.

    python benchmarks/lm_overhead.py --rows 1000

Both sides run three nodes in a row with the same signatures and the same four demonstrations a node, on the same
in-process engine, which answers at once and costs little; the bare engine is measured too. Imports and a warm-up run
are not counted. Times are CPU times of the process, per model call, the median of several rounds.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy
from dspy.lm15 import Message, Request, Response, Usage

import fusionprog as fp
from fusionprog._internal import sync
from fusionprog.evaluation.evaluator import Evaluator
from fusionprog.evaluation.metrics import as_metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.lm.client import LMClient
from fusionprog.lm.resolve import resolve_models
from fusionprog.program.data import read_rows
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.store.store import Store

NODES = 3
ANSWER = "[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]"


class Step(fp.Signature):
    """Answer the question about the text."""

    text: str = fp.InputField()
    question: str = fp.InputField()
    answer: str = fp.OutputField()


# Three texts, so that no node's call is another's and both sides make as many calls.
SIGNATURES = [Step.with_instructions(f"{Step.instructions} This is step {index} of three.") for index in range(NODES)]
DEMOS = [
    {"text": f"A text of some length about matter number {index}. " * 4, "question": "Is it so?", "answer": "yes"}
    for index in range(4)
]


class Instant:
    """An engine that answers at once."""

    calls = 0

    def complete(self, request: Request) -> Response:
        """Returns the same answer to everything."""
        Instant.calls += 1
        return Response(
            id="1",
            model=request.model,
            message=Message.assistant(ANSWER),
            finish_reason="stop",
            usage=Usage(input_tokens=100, output_tokens=5),
        )


class AsyncInstant(Instant):
    """The same for asynchronous callers."""

    async def complete(self, request: Request) -> Response:
        """Returns the same answer to everything."""
        return Instant.complete(self, request)


class Chain(fp.Program):
    """Three nodes in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [fp.modules.Predict(signature) for signature in SIGNATURES]

    def forward(self, text: str) -> Any:
        """Feeds each answer to the next node's question."""
        question: Any = "Is it so?"
        for step in self.steps:
            question = step(text=text, question=question).answer
        return {"answer": question}


class DSPyChain(dspy.Module):
    """The same with DSPy's own modules."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [dspy.Predict(signature) for signature in SIGNATURES]
        for step in self.steps:
            step.demos = list(DEMOS)

    def forward(self, text: str) -> Any:
        """Feeds each answer to the next node's question."""
        prediction = dspy.Prediction(answer="Is it so?")
        for step in self.steps:
            prediction = step(text=text, question=prediction.answer)
        return prediction


def correct(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Both sides' metric."""
    return bool(prediction.answer == "yes")


def cpu_per_call(work: Callable[[], Any], rounds: int) -> float:
    """Returns the median CPU microseconds per engine call of a piece of work."""
    work()
    times = []
    for _ in range(rounds):
        before, started = Instant.calls, time.process_time()
        work()
        times.append((time.process_time() - started) / (Instant.calls - before) * 1e6)
    return statistics.median(times)


def main() -> None:
    """Measures all sides and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lm = dspy.LM("test/instant", engine=Instant(), async_engine=AsyncInstant(), cache=False)
    rows = [{"text": f"row {index} " * 10, "answer": "yes"} for index in range(arguments.rows)]

    request = Request(model="test/instant", messages=(Message.user("hello"),))
    engine = Instant()

    def ask_bare() -> None:
        for _ in range(arguments.rows):
            engine.complete(request)

    bare = cpu_per_call(ask_bare, arguments.rounds)

    dspy.configure(lm=lm)
    examples = [dspy.Example(**row).with_inputs("text") for row in rows]
    results = {}
    for threads in (1, 8):
        evaluate = dspy.Evaluate(
            devset=examples, metric=correct, num_threads=threads, display_progress=False, max_errors=1
        )
        results[threads] = cpu_per_call(functools.partial(evaluate, DSPyChain()), arguments.rounds)

    graph = Chain().graph()
    pinned = {
        f"steps.{index}": fp.DemoSet(f"d{index}", DEMOS, node=f"steps.{index}", pinned=True) for index in range(NODES)
    }
    task = fp.Task("chain", train=rows[:1], val=rows[:2], metric=correct)
    offered = {node: {item.id: item.demos} for node, item in pinned.items()}
    view = TaskView("chain", "chain", bind(graph, task), (), offered)
    scorer = make_scorer(view, as_metric(correct), resolve_models(lm, list(graph.nodes)))
    prompts = Renderer({item.id: item for item in pinned.values()}).prompts(Schedule(), view)
    data = read_rows(rows, "rows")

    def own() -> None:
        async def run() -> None:
            evaluator = Evaluator(Executor(LMClient(Store(), 32, fresh=True), NodeMemo()))
            await evaluator.outcomes(scorer, prompts, data)

        sync.run(run())

    ours = cpu_per_call(own, arguments.rounds)
    print(f"the bare engine             {bare:7.1f} µs of CPU per call")
    print(f"dspy.Evaluate, 1 thread     {results[1]:7.1f}")
    print(f"dspy.Evaluate, 8 threads    {results[8]:7.1f}")
    print(f"fusionprog                  {ours:7.1f}   (1/{results[1] / ours:.1f} of dspy.Evaluate with 1 thread)")


if __name__ == "__main__":
    main()
