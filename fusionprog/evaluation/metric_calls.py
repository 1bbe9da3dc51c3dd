"""What metrics ask of models: made by the client, counted against what they may ask, and noted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from fusionprog._internal.canonical import digest
from fusionprog._internal.from_threads import FromThreads
from fusionprog.errors import FusionProgError, LMOutputError, MetricError
from fusionprog.lm.dspy_asking import unanswered
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.dspy_named import as_model
from fusionprog.lm.model import Completion, LanguageModel, Messages, Request, request_of
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.ask import fault
from fusionprog.runtime.executor import Executor
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView

if TYPE_CHECKING:
    from fusionprog.evaluation.metric import Metric
    from fusionprog.evaluation.program_metric import ProgramMetric

_VARIANTS = 1_000  # models with a call's own parameters that are kept ready


class MetricCalls:
    """Makes the calls of metrics, for all answers that are scored with one client.

    Args:
        executor: Makes them.
        strict: Whether functions that ask and do not say so are stopped; they ask by themselves otherwise.
    """

    def __init__(self, executor: Executor, *, strict: bool = True) -> None:
        self.executor = executor
        self.strict = strict
        self._prompts: dict[ProgramMetric, Mapping[str, RenderedPrompt]] = {}
        self._variants: dict[str, DSPyModel] = {}

    def for_answer(
        self, judges: Mapping[Metric, Mapping[str, LanguageModel]], calls: dict[bytes, Completion]
    ) -> AnswerCalls:
        """Returns what makes the calls for the score of one answer.

        Args:
            judges: Metric that asks → the models that it asks, by node where it is a program.
            calls: Call key → answer; what is asked is added.
        """
        return AnswerCalls(self, judges, calls)

    def prompts(self, metric: ProgramMetric) -> Mapping[str, RenderedPrompt]:
        """Returns the prompts of a metric that is a program."""
        if metric not in self._prompts:
            view = TaskView(metric.name, "", metric.as_task, ())
            self._prompts[metric] = Renderer({}).prompts(Schedule(), view, metric.asking)
        return self._prompts[metric]

    def variant(self, lm: Any, parameters: Mapping[str, Any]) -> LanguageModel:
        """Returns a ``dspy.LM`` with a call's own parameters as a model, the same for equal ones."""
        made = as_model(lm.copy(**parameters))
        assert made is not None
        if len(self._variants) >= _VARIANTS:
            self._variants.clear()
        return self._variants.setdefault(digest(made.identity), made)


class AnswerCalls:
    """Makes the calls for the score of one answer; see ``MetricCalls.for_answer``."""

    __slots__ = ("_all", "_calls", "_judges")

    def __init__(
        self,
        every: MetricCalls,
        judges: Mapping[Metric, Mapping[str, LanguageModel]],
        calls: dict[bytes, Completion],
    ) -> None:
        self._all = every
        self._judges = judges
        self._calls = calls

    async def run_program(self, metric: ProgramMetric, inputs: Mapping[str, Any]) -> Any:
        """Runs a metric that is a program.

        Returns:
            The value of its score, or the ``LMOutputError`` why a model's answer could not be read.
        """
        made = await self._all.executor.run(
            metric.as_task, self._all.prompts(metric), self._judges[metric], inputs, metric.nodes, metric.wanted
        )
        self._calls.update(made.calls)
        return made.value(metric.wanted[0]) if made.error is None else made.error

    def asks(self, metric: Metric) -> MetricAsks | None:
        """Returns what answers a metric that is a function, for this one answer; ``None`` if it may ask by itself."""
        if not metric.calls and not self._all.strict:
            return None
        return MetricAsks(metric, self._judges.get(metric, {}), self._all, self._calls)


class MetricAsks:
    """Answers what a function asks through DSPy while it scores one answer (``fusionprog.lm.dspy_asking.Answering``).

    Attributes:
        failure: The first failure that is no answer of a model; the function may have caught it.
    """

    __slots__ = ("_all", "_calls", "_count", "_into", "_metric", "_models", "_shown", "_threads", "failure")

    def __init__(
        self,
        metric: Metric,
        models: Mapping[str, LanguageModel],
        every: MetricCalls,
        into: dict[bytes, Completion],
    ) -> None:
        self.failure: FusionProgError | None = None
        self._metric = metric
        self._models = tuple(models.values())
        self._all = every
        self._into = into
        self._calls: dict[bytes, Completion] = {}
        self._count = 0
        self._shown = 0  # bytes of the row and the answer, which prompts may show
        self._threads: FromThreads | None = None

    @property
    def model(self) -> LanguageModel:
        """The model that it asks where it names none."""
        return self._models[0]

    def open(self, example: Any, prediction: Any) -> None:
        """Lets it be asked, on the loop that this is called on; prompts may show the row and the answer."""
        self._threads = FromThreads()
        self._shown = sum(
            len(str(value).encode(errors="replace")) for each in (example, prediction) for value in each.values()
        )

    def close(self) -> None:
        """Ends it, and notes what was asked."""
        if self._threads is not None:
            self._threads.close()
        self._into.update(sorted(self._calls.items()))

    def wait(self, lm: Any, messages: Messages, parameters: Mapping[str, Any], samples: range) -> list[str]:
        """Returns an answer per sample; is called in a thread of the function."""
        if self._threads is None:
            self._undeclared()
        if self._threads.on_loop:
            raise self._failed(
                "asks a model without awaiting it", fix="Write await predictor.acall(...), or a function without async"
            )
        if self._threads.closed:
            raise self._failed("asks a model after it has returned")
        return self._threads.wait(self._answers, lm, messages, parameters, samples)

    async def answer(self, lm: Any, messages: Messages, parameters: Mapping[str, Any], samples: range) -> list[str]:
        """Returns an answer per sample; is awaited on any event loop."""
        if self._threads is None:
            self._undeclared()
        return await self._threads.elsewhere(self._answers, lm, messages, parameters, samples)

    def unseen(self, lm: Any) -> None:
        """Notes that a model is asked past this: what it is asked is not counted."""
        if not self._models:
            self.failure = self.failure or self._not_said()
            return
        self._failed(
            "asks a model in a way that is not counted",
            expected="DSPy's predictors, or dspy.settings.lm",
            found=f"a call of {getattr(lm, 'model', type(lm).__name__)!r} itself, or by an adapter of the function's",
            fix="Leave the adapter to dspy.configure(adapter=...), and the model to fusionprog.Metric(..., lm=that_lm)",
        )

    async def _answers(self, lm: Any, messages: Messages, parameters: Mapping[str, Any], samples: range) -> list[str]:
        if self.failure is not None:
            raise self.failure
        model, request = self._model(lm, parameters), self._request(messages)
        self._count += len(samples)
        if self._count > self._metric.calls:
            raise self._failed(
                "asks models more often than it may for one answer",
                expected=f"at most {self._metric.calls}",
                fix="Pass fusionprog.Metric(function, calls=n) with the most that it ever asks; DSPy's adapters ask a "
                "second time where an answer cannot be read",
            )
        try:
            with unanswered():
                return list(await asyncio.gather(*(self._ask(model, request, sample) for sample in samples)))
        except LMOutputError:
            raise
        except FusionProgError as error:
            self.failure = self.failure or error
            raise

    async def _ask(self, model: LanguageModel, request: Request, sample: int) -> str:
        key, answer = await self._all.executor.ask(model, request, sample)
        self._calls[key] = answer
        if answer.finish not in ("stop", "length"):
            raise fault(model, answer)
        return answer.text

    def _model(self, lm: Any, parameters: Mapping[str, Any]) -> LanguageModel:
        """The model for a call: one of those that the metric names, with the call's own parameters."""
        for model in self._models:
            if lm is model or (isinstance(model, DSPyModel) and lm is model.lm):
                asked = self._all.variant(lm, parameters) if parameters and lm is not model else model
                break
        else:
            asked = self._all.variant(lm, parameters)
        for model in self._models:
            longest = model.max_output_tokens
            if asked.name == model.name and (longest is None or (asked.max_output_tokens or longest + 1) <= longest):
                return asked
        raise self._failed(
            "asks a model that it does not name, or for longer answers than that one's",
            expected=f"{' or '.join(model.name for model in self._models)}, with its max_tokens",
            found=asked.name,
            fix="Pass the dspy.LM that it asks, or a list of them: fusionprog.Metric(function, calls=n, lm=that_lm)",
        )

    def _request(self, messages: Messages) -> Request:
        if messages[-1]["role"] != "user" or not all(isinstance(each["content"], str) for each in messages):
            raise self._failed("asks with messages that are not kept", expected="texts, the last of them the user's")
        size = sum(_bytes(each["content"]) for each in messages)
        if size > self._metric.prompt_tokens + self._shown:
            raise self._failed(
                "asks with a longer prompt than budgets set aside",
                expected=f"at most {self._metric.prompt_tokens:,} bytes beside {self._shown:,} of row and answer",
                found=f"{size:,}",
                fix=f"Pass fusionprog.Metric(..., prompt_tokens={2 ** (size - self._shown).bit_length()})",
            )
        return request_of(messages)

    def _undeclared(self) -> NoReturn:
        self.failure = self.failure or self._not_said()
        raise self.failure

    def _not_said(self) -> MetricError:
        return MetricError(
            f"the metric {self._metric.name!r} asks a model, and budgets set no calls of it aside",
            expected="the most calls that it makes for one answer",
            fix="Pass fusionprog.Metric(function, calls=1), and lm= where it asks another model than the program's",
        )

    def _failed(self, problem: str, **more: str) -> MetricError:
        error = MetricError(f"the metric {self._metric.name!r} {problem}", **more)
        self.failure = self.failure or error
        return error


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
