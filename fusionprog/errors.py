"""The one tree of errors that fusionprog raises.

Every message says what was expected, what was found and what to do::

    FusionProgError
    ├── ProgramError        the program's graph, a signature or a traced ``forward`` is not sound
    │   └── TracingError    ``forward`` did something that a symbolic value cannot do
    ├── DataError           a task's rows do not fit the program
    ├── PoolError           a fragment, demonstration set or family is not sound
    ├── MetricError         a metric failed or returned something that is no score
    ├── BudgetError         a budget cannot pay for what was asked
    ├── EmbedderError       tasks cannot be embedded, or not as those of an artifact were
    ├── LMError             a language model gave no answer, or none that can be used
    │   ├── LMConfigurationError   it cannot answer before something is set: no retry
    │   │   ├── LMAuthError           the provider refused the key
    │   │   ├── LMBillingError        the account has no money or quota left
    │   │   └── LMNotFoundError       the provider has no such model
    │   ├── LMUnavailableError     it cannot answer now: retried
    │   │   ├── LMRateLimitError      too many requests or tokens a minute
    │   │   ├── LMTimeoutError        no answer in time
    │   │   ├── LMTransportError      the connection failed or was cut
    │   │   ├── LMServerError         the provider failed
    │   │   └── LMIncompleteError     an answer without choices, without text, or not finished
    │   └── LMOutputError          it answered, and the answer is no good: the program's own fault
    │       ├── LMTruncatedError      the answer reached ``max_tokens``
    │       ├── LMRefusedError        the provider's content filter held it back
    │       └── LMContextError        the prompt does not fit the model's context window
    ├── CallError           a compiled program was called wrongly
    ├── StoreError          the store of measurements cannot be used
    ├── RegistryError       a registry of artifacts cannot be used, or has not what was asked for
    └── ArtifactError       an artifact file is not sound
        ├── ArtifactVersionError   it was written by a newer version
        ├── ArtifactHashError      it was changed after it was written
        └── ArtifactMismatchError  it was made from other code than is at hand
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
        return _rebuild, (type(self), self.problem, dict(vars(self)))


def _rebuild(kind: type[FusionProgError], problem: str, attributes: dict[str, Any]) -> FusionProgError:
    made = kind(problem)
    made.__dict__.update(attributes)
    return made


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


class EmbedderError(FusionProgError):
    """Tasks cannot be embedded, or not as those of an artifact were."""


class LMError(FusionProgError):
    """A language model gave no answer, or none that can be used."""


class LMConfigurationError(LMError):
    """The model cannot answer before something is set; asking again does not help."""


class LMAuthError(LMConfigurationError):
    """The provider refused the key."""


class LMBillingError(LMConfigurationError):
    """The account has no money or no quota left."""


class LMNotFoundError(LMConfigurationError):
    """The provider has no such model."""


class LMUnavailableError(LMError):
    """The model cannot answer now; it is asked again.

    Args:
        problem: What is wrong, naming the model.
        expected: What would have been right.
        found: What the provider said.
        fix: What the user can do about it.
        retry_after: Seconds that the provider asks to wait; ``None`` where it does not say.
    """

    def __init__(
        self, problem: str, *, expected: str = "", found: str = "", fix: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(problem, expected=expected, found=found, fix=fix)
        self.retry_after = retry_after


class LMRateLimitError(LMUnavailableError):
    """Too many requests or tokens a minute."""


class LMTimeoutError(LMUnavailableError):
    """No answer came in time."""


class LMTransportError(LMUnavailableError):
    """The connection failed, or was cut in the middle of an answer."""


class LMServerError(LMUnavailableError):
    """The provider failed."""


class LMIncompleteError(LMUnavailableError):
    """The provider sent an answer without choices, without text, or one that it had not finished.

    Attributes:
        tokens: Tokens of the prompt and of that answer, where the provider counts them: they are paid for.
    """

    tokens: tuple[int, int] = (0, 0)


class LMOutputError(LMError):
    """The model answered, but its answer cannot be read as the node's outputs.

    Attributes:
        status: What an example is recorded as that ends so; it scores 0.
    """

    status = "unreadable"


class LMTruncatedError(LMOutputError):
    """The answer reached ``max_tokens``."""

    status = "truncated"


class LMRefusedError(LMOutputError):
    """The provider's content filter held the answer back."""

    status = "refused"


class LMContextError(LMOutputError):
    """The prompt does not fit the model's context window."""

    status = "too_long"


class CallError(FusionProgError):
    """A compiled program was called with an unknown task or wrong inputs."""


class StoreError(FusionProgError):
    """The store of measurements cannot be opened, read or written."""


class RegistryError(FusionProgError):
    """A registry of artifacts cannot be opened, read or written, or has not what was asked for."""


class ArtifactError(FusionProgError):
    """An artifact file is not sound."""


class ArtifactVersionError(ArtifactError):
    """An artifact was written by a newer version."""


class ArtifactHashError(ArtifactError):
    """An artifact was changed after it was written."""


class ArtifactMismatchError(ArtifactError):
    """An artifact was made from other code than is at hand.

    Args:
        problem: What is wrong, naming the artifact.
        expected: What would have been right.
        found: The differences, or the first of many.
        fix: What the user can do about it.
        differences: All of them, each in words.
    """

    def __init__(
        self,
        problem: str,
        *,
        expected: str = "",
        found: str = "",
        fix: str = "",
        differences: tuple[str, ...] = (),
    ) -> None:
        super().__init__(problem, expected=expected, found=found, fix=fix)
        self.differences = differences
