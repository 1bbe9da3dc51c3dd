"""What DSPy's errors mean here: which error of the tree, or which end of an answer.

DSPy's two clients disagree on many failures: the native one calls a hang a transport error, LiteLLM calls a cut
connection a server error. What really happened is in the chain of causes, which both keep.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator

from dspy.clients.errors import wrap_error
from dspy.utils import exceptions

from fusionprog.errors import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMContextError,
    LMError,
    LMIncompleteError,
    LMNotFoundError,
    LMRateLimitError,
    LMRefusedError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnavailableError,
)
from fusionprog.lm.model import Finish

_FIXES: dict[type[LMError], str] = {
    LMConfigurationError: "Check its name, its parameters and {key}",
    LMAuthError: "Set {key} to a key that the provider takes",
    LMBillingError: "Add money to the account at the provider, or raise its quota",
    LMNotFoundError: "Check the model's name and api_base, and that the account may use it",
    LMRateLimitError: "Lower concurrency=, or set limits=",
    LMTimeoutError: "Allow it more time with limits= and the timeout= of the dspy.LM, or lower concurrency=",
    LMTransportError: "Check the network, api_base and what lies between",
}
_QUOTA_CODES = {"insufficient_quota", "billing_error", "billing_hard_limit_reached"}
# OpenAI's, Azure's and Gemini's names for a prompt that they will not answer.
_REFUSAL_CODES = {
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "invalid_prompt",
    "safety",
    "prohibited_content",
    "blocklist",
    "spii",
}
_REFUSAL = re.compile(r"ResponsibleAIPolicyViolation|content management policy", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context (?:length|window)|prompt is too long|input (?:is )?too long|too many (?:input )?tokens", re.IGNORECASE
)
_NO_CREDIT = re.compile(r"credit balance is too low", re.IGNORECASE)
_NO_JSON = (json.JSONDecodeError, UnicodeDecodeError)
_CALLED = r"[\w.]*(?:Error|Exception|Timeout)(?: Error)?"
_PREFIX = re.compile(rf"^(?:{_CALLED}(?:: | - ))+")
_ADVICE = re.compile(r" (?:To fix:|credential came from:|Retry advice:).*")  # DSPy's native client adds it


def meaning(error: Exception) -> type[LMError] | Finish:
    """Returns the error that a failed call becomes, or how its answer ended if the failure is one."""
    code = str(getattr(error, "provider_code", None) or "").lower()
    status = getattr(error, "status", None)
    words = str(getattr(error, "message", "") or error)
    match error:
        case exceptions.ContextWindowExceededError():
            return "context"
        case exceptions.LMAuthError():
            return LMAuthError
        case exceptions.LMBillingError():
            return LMBillingError
        case exceptions.LMRateLimitError():
            return LMBillingError if code in _QUOTA_CODES else LMRateLimitError
        case exceptions.LMUnsupportedModelError():
            return LMNotFoundError
        case exceptions.LMInvalidRequestError():
            return _invalid(error, code, status, words)
        case exceptions.LMConfigurationError() | exceptions.LMUnsupportedFeatureError():
            return LMConfigurationError
        case exceptions.LMTimeoutError() | exceptions.LMLockTimeoutError():
            return LMTimeoutError
        case exceptions.LMTransportError():
            return LMTimeoutError if _caused_by(error, TimeoutError) else LMTransportError
        case exceptions.LMServerError():
            lost = _caused_by(error, *_NO_JSON) or _named(error, "APIConnectionError")
            return LMTransportError if lost else LMServerError
        case exceptions.LMStreamAssemblyError():
            return LMIncompleteError
        case exceptions.LMProviderError():
            return LMTransportError if status == 200 or _caused_by(error, *_NO_JSON) else LMError
    return _unknown(error)


def _invalid(error: Exception, code: str, status: int | None, words: str) -> type[LMError] | Finish:
    """What a refused request means."""
    if code in _REFUSAL_CODES or _named(error, "ContentPolicyViolationError") or _REFUSAL.search(words):
        return "refused"
    if status == 413 or _TOO_LONG.search(words):
        return "context"
    if code in _QUOTA_CODES or _NO_CREDIT.search(words):
        return LMBillingError
    return LMNotFoundError if status == 404 else LMError


def _unknown(error: Exception) -> type[LMError]:
    """What an error means that DSPy knows nothing about."""
    raised = raised_by_engine(error)
    if isinstance(raised, TimeoutError):
        return LMTimeoutError
    return LMTransportError if isinstance(raised, ConnectionError) else LMError


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what led to it, each once."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__context__, each.__cause__]


def explained(kind: type[LMError], error: Exception, name: str, provider: str, clean: Callable[[str], str]) -> LMError:
    """Returns an error of the tree with the provider's words and what can be done.

    Args:
        kind: Which.
        error: What was raised.
        name: The model's.
        provider: Its provider, as its name says it; empty for an engine that has a key of its own.
        clean: Takes secrets out of a text.
    """
    words = clean(_said(error))[:500].rstrip(". ")
    variables = getattr(error, "env_keys", ()) or (f"{provider.upper()}_API_KEY",)
    key = f"{' or '.join(variables)} (or api_key= of the dspy.LM)" if provider else "the engine's key"
    fix = _FIXES.get(kind, "").format(key=key)
    if issubclass(kind, LMConfigurationError):
        return kind(f"the model {name!r} cannot be used", found=words, fix=fix)
    problem = f"the model {name!r} gave no answer"
    if issubclass(kind, LMUnavailableError):
        return kind(problem, found=words, fix=fix, retry_after=getattr(error, "retry_after", None))
    return kind(problem, found=words, fix=fix)


def failure(error: Exception, name: str, clean: Callable[[str], str]) -> LMError:
    """Returns the error of the tree that a failed call of LiteLLM's becomes, where an answer has no ends of its own.

    Args:
        error: What was raised, inside of DSPy's ``litellm_errors``.
        name: The model's, with its provider.
        clean: As in ``explained``.
    """
    wrapped = wrap_error(error, model=name)
    if wrapped is not error:
        wrapped.__cause__ = error
    kind = meaning(wrapped)
    if isinstance(kind, str):
        kind = LMContextError if kind == "context" else LMRefusedError
    return explained(kind, wrapped, name, name.partition("/")[0], clean)


def cleaned(error: LMError, clean: Callable[[str], str]) -> LMError:
    """Returns an error of the tree without secrets, and without what led to it."""
    made = copy.copy(error)
    for part in ("problem", "expected", "found", "fix"):
        setattr(made, part, clean(getattr(error, part)))
    made.args = (made.problem,)
    return made


def shown(error: BaseException) -> str:
    """Returns all that a traceback of an error would say."""
    return "\n".join(line for each in chain(error) for line in (str(each), *getattr(each, "__notes__", ())))


def _said(error: Exception) -> str:
    """The provider's own words, without the names and the advice that clients put around them."""
    raised = raised_by_engine(error)
    words = " ".join(str(getattr(raised, "message", "") or raised).split()) or type(raised).__name__
    return _ADVICE.sub("", _PREFIX.sub("", words)) or words


def raised_by_engine(error: Exception) -> BaseException:
    """Returns what an engine raised that DSPy knows nothing about; any other error as it is."""
    unexpected = type(error) is exceptions.LMUnexpectedError and error.__cause__ is not None
    return error.__cause__ or error if unexpected else error


def _caused_by(error: Exception, *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in chain(error))


def _named(error: Exception, name: str) -> bool:
    """Whether an error of the OpenAI or LiteLLM client is in the chain; neither is imported for it."""
    return any(kind.__name__ == name for each in chain(error) for kind in type(each).__mro__)
