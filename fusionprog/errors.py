"""The one tree of errors that fusionprog raises.

Every message says what was expected, what was found and what to do::

    FusionProgError
    ├── ProgramError        the program's graph, a signature or a traced ``forward`` is not sound
    │   └── TracingError    ``forward`` did something that a symbolic value cannot do
    ├── DataError           a task's rows do not fit the program
    ├── PoolError           a fragment, demonstration set or family is not sound
    ├── MetricError         a metric failed or returned something that is no score
    ├── BudgetError         a budget cannot pay for what was asked
    ├── LMError             a language model could not be reached
    │   ├── LMConfigurationError   no model, no key, an unknown model: nothing was sent
    │   └── LMOutputError          the model answered, but the answer cannot be read
    ├── CallError           a compiled program was called wrongly
    ├── StoreError          the store of measurements cannot be used
    └── ArtifactError       an artifact file is not sound
        ├── ArtifactVersionError   it was written by a newer version
        └── ArtifactHashError      it was changed after it was written
"""

from __future__ import annotations

from typing import Any


class FusionProgError(Exception):
    """Base of all errors of this package.

    Args:
        problem: What is wrong, naming the thing.
        expected: What would have been right.
        found: What was there instead.
        fix: What the user can do about it, as a sentence without its full stop.
    """

    def __init__(self, problem: str, *, expected: str = "", found: str = "", fix: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.found = found
        self.fix = fix
        super().__init__(problem)

    def __str__(self) -> str:
        compared = [f"expected {self.expected}"] if self.expected else []
        compared += [f"found {self.found}"] if self.found else []
        text = f"{self.problem}: {', '.join(compared)}" if compared else self.problem
        return f"{text}. {self.fix}." if self.fix else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.problem, self.expected, self.found, self.fix)


def _rebuild(kind: type[FusionProgError], problem: str, expected: str, found: str, fix: str) -> FusionProgError:
    return kind(problem, expected=expected, found=found, fix=fix)


class ProgramError(FusionProgError):
    """The program's graph or one of its signatures is not sound."""


class TracingError(ProgramError):
    """``forward`` did something that a symbolic value cannot do."""


class DataError(FusionProgError):
    """A task's rows do not fit the program or each other."""


class PoolError(FusionProgError):
    """A fragment, a demonstration set or a family is not sound."""


class MetricError(FusionProgError):
    """A metric raised or returned something that is no score."""


class BudgetError(FusionProgError):
    """A budget cannot pay for what was asked."""


class LMError(FusionProgError):
    """A language model could not be reached or gave no answer."""


class LMConfigurationError(LMError):
    """No model, no key or an unknown model; nothing was sent."""


class LMOutputError(LMError):
    """The model answered, but its answer cannot be read as the node's outputs."""


class CallError(FusionProgError):
    """A compiled program was called with an unknown task or wrong inputs."""


class StoreError(FusionProgError):
    """The store of measurements cannot be opened, read or written."""


class ArtifactError(FusionProgError):
    """An artifact file is not sound."""


class ArtifactVersionError(ArtifactError):
    """An artifact was written by a newer version."""


class ArtifactHashError(ArtifactError):
    """An artifact was changed after it was written."""
