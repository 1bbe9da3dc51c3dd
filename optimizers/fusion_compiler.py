"""``FusionCompiler``: compiles an ordinary ``dspy.Module``, as DSPy's own optimizers do."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from fusionprog._internal.canonical import seed_of
from fusionprog.errors import DataError, LMConfigurationError
from fusionprog.lm.budget import Budget
from fusionprog.lm.limits import LimitsSpec
from fusionprog.optimizers.compile import Prior
from fusionprog.optimizers.compile import compile as compile_program
from fusionprog.optimizers.registry import USUAL_OBJECTIVE, USUAL_SAMPLER, Optimizer
from fusionprog.program.task import Task
from fusionprog.prompts.pool import PromptPool
from fusionprog.runtime.from_dspy import from_dspy, predictor_nodes
from fusionprog.runtime.render import RenderedPrompt
from fusionprog.search.events import Callback
from fusionprog.search.objective import Objective

TASK = "student"


class FusionCompiler(Teleprompter):
    """Searches how every predictor of a ``dspy.Module`` should mix a pool of prompt fragments.

    It works wherever DSPy takes an optimizer, ``dspy.BetterTogether`` included. What it returns is a copy of the
    student with instructions and demonstrations in its predictors: it runs in plain DSPy, is saved and loaded by DSPy,
    and sends the messages that the search has measured, under ``dspy.ChatAdapter``. Only DSPy's chat format is
    searched, since a predictor can keep no other.

    Args:
        metric: One of ``fusionprog.metrics``, or a function ``metric(example, prediction, trace=None)``.
        pool: The fragments and families on offer; ready-made patterns and default families, if not given.
        budget: What may be spent.
        trials: Trials of the search; as many as the budget pays for, or 64, if not given.
        inputs: Input name → type, where ``forward`` does not say; see ``fusionprog.from_dspy``.
        outputs: Output name → type, likewise.
        calls: How often ``forward`` calls a predictor for one example at most, likewise.
        version: Changes when the code's answers change.
        objective: What is to be reached; a ``fusionprog.Objective`` has constraints or a trade-off.
        optimizer: Name of the optimizer, or ``fusionprog.optimizers.Fusion(...)``; see ``fusionprog.compile``.
        sampler: Name of the search's sampler.
        freeze: Names of nodes (``steps.0.predict``) and items that are left alone.
        prior: Compiled programs or artifacts whose effects are tried first.
        storage: Where measurements are kept: a file name or a SQLAlchemy URL; only this process, if not given.
        concurrency: Model calls in flight at most.
        limits: Requests and tokens per minute, timeout and retries: ``fusionprog.Limits``.
        fresh: Asks every model again instead of using kept answers.
        seed: Decides splits and draws.
        callbacks: Are told what happens (``fusionprog.search.events``).
        progress: Shows progress on stderr; if not given, where stderr is a terminal.

    Example:
        >>> import dspy, fusionprog as fp
        >>> optimizer = fp.optimizers.FusionCompiler(metric=fp.metrics.exact_match("answer"), trials=20)
        >>> isinstance(optimizer, dspy.teleprompt.Teleprompter)
        True
    """

    def __init__(
        self,
        metric: Any,
        *,
        pool: PromptPool | None = None,
        budget: Budget | None = None,
        trials: int | None = None,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        calls: int | Mapping[str, int] = 1,
        version: str = "1",
        objective: str | Objective = USUAL_OBJECTIVE,
        optimizer: str | Optimizer = "fusion",
        sampler: str = USUAL_SAMPLER,
        freeze: str | Sequence[str] = (),
        prior: Prior | Sequence[Prior] = (),
        storage: str | None = None,
        concurrency: int = 16,
        limits: LimitsSpec = None,
        fresh: bool = False,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.pool = pool
        self.budget = budget
        self.trials = trials
        self.inputs = inputs
        self.outputs = outputs
        self.calls = calls
        self.version = version
        self.objective = objective
        self.optimizer = optimizer
        self.sampler = sampler
        self.freeze = freeze
        self.prior = prior
        self.storage = storage
        self.concurrency = concurrency
        self.limits = limits
        self.fresh = fresh
        self.seed = seed
        self.listeners = callbacks  # DSPy has callbacks of its own
        self.progress = progress

    def compile(
        self, student: Any, *, trainset: Sequence[Any], teacher: Any = None, valset: Sequence[Any] | None = None
    ) -> Any:
        """Returns the student with the best prompts that were found; as it is, if nothing beat it.

        Args:
            student: The module; it is not changed. Its predictors run on their own ``lm``, else on
                ``dspy.settings.lm``. What they say now is the program as written.
            trainset: Examples that glossaries and demonstrations are made from.
            teacher: Is not used; a warning says so.
            valset: Examples that candidates are scored on; if not given, two thirds of ``trainset``, drawn by seed.

        Returns:
            A compiled copy of the student. Its attribute ``fusion`` is the ``fusionprog.CompiledProgram`` behind it
            (task ``"student"``): scores, effects, exact prompts, and the artifact that ``fusion.save(path)`` writes.

        Raises:
            ProgramError: if the student cannot be compiled.
            DataError: if the examples do not fit.
            LMConfigurationError: if a predictor has no model.
            FusionProgError: for what else ``fusionprog.compile`` refuses.
        """
        if teacher:  # BetterTogether hands its own to every optimizer
            warnings.warn(
                "FusionCompiler has no use for a teacher; offer what one says as demonstrations: "
                "pool=fusionprog.PromptPool([fusionprog.DemoSet(...)])",
                stacklevel=2,
            )
        graph = from_dspy(student, inputs=self.inputs, outputs=self.outputs, calls=self.calls, version=self.version)
        predictors = predictor_nodes(student)
        train, val = (list(trainset), list(valset)) if valset else self._split(trainset)
        task = Task(TASK, description=_description(predictors), train=train, val=val, metric=self.metric)
        compiled = compile_program(
            graph,
            [task],
            pool=self.pool,
            lm={node: _model(node, predictor) for node, predictor in predictors.items()},
            objective=self.objective,
            optimizer=self.optimizer,
            sampler=self.sampler,
            trials=self.trials,
            budget=self.budget,
            concurrency=self.concurrency,
            limits=self.limits,
            freeze=self.freeze,
            formats=("chat",),
            prior=self.prior,
            storage=self.storage,
            fresh=self.fresh,
            seed=self.seed,
            callbacks=self.listeners,
            progress=self.progress,
        )
        made = student.deepcopy()
        for node, predictor in predictor_nodes(made).items():
            predictor.lm = predictors[node].lm  # a copy of a model would be another one
            _write(predictor, compiled.rendered(TASK, node))
        made.fusion = compiled
        made._compiled = True
        return made

    def _split(self, trainset: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        if len(trainset) < 3:
            raise DataError("trainset is too small to be split", expected="more examples, or a valset")
        rows = list(trainset)
        random.Random(seed_of(self.seed, "trainset")).shuffle(rows)
        share = len(rows) // 3
        return rows[:share], rows[share:]


def _model(node: str, predictor: Any) -> Any:
    lm = predictor.lm or dspy.settings.lm
    if lm is None:
        raise LMConfigurationError(
            f"the predictor {node!r} has no model", fix="Call student.set_lm(lm) or dspy.configure(lm=lm)"
        )
    return lm


def _description(predictors: Mapping[str, Any]) -> str:
    return "\n".join(dict.fromkeys(predictor.signature.instructions for predictor in predictors.values()))


def _write(predictor: Any, prompt: RenderedPrompt) -> None:
    """Puts a prompt into a predictor."""
    text = prompt.composition.instructions
    if text != "\n".join(predictor.signature.instructions.splitlines()):
        predictor.signature = predictor.signature.with_instructions(text)
    predictor.demos = [dspy.Example(**demo) for _, demo in prompt.composition.demos]
