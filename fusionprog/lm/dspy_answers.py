"""Reads what DSPy's engines return: the text, and why it ended.

DSPy reads an answer without choices as an empty text, and one that was cut on its way as one that is complete. What
the provider sent tells them apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from dspy.lm15 import DataPart, RefusalPart, Response, TextPart

from fusionprog.errors import LMIncompleteError
from fusionprog.lm.model import Finish

Answer: TypeAlias = tuple[str, Finish]

_NO_CHOICES = "an answer without choices"
_NO_TEXT = "an answer without text"
_UNFINISHED = "an answer that breaks off without a reason"
# A key of the JSON: inside a text its quotation marks would be escaped.
_NULL_REASON = re.compile(r'"finish_reason"\s*:\s*null')


def read_response(response: Response, name: str, *, streamed: bool = False) -> Answer:
    """Returns the text of a canonical response and why it ended.

    Args:
        response: What the engine returned.
        name: The model's, for messages.
        streamed: Whether it came in pieces: DSPy has then checked its end, and has only the last piece's body.

    Raises:
        LMIncompleteError: if the provider sent no text, or did not finish.
    """
    parts, reason, data = response.message.parts, response.finish_reason, response.provider_data
    missing = _missing(data) if isinstance(data, Mapping) and not streamed else None
    if len(parts) == 1 and type(parts[0]) is TextPart:
        text: str | None = parts[0].text or None if missing == _NO_TEXT else parts[0].text
    else:
        texts = [_text(part) for part in parts if isinstance(part, (TextPart, DataPart))]
        text = "".join(texts) if texts else None
    if streamed and not text:  # no piece had any
        text = None
    refusals = [part.text for part in parts if isinstance(part, RefusalPart)]
    if reason == "error":
        missing = _UNFINISHED
    try:
        return _answer(text, reason, "".join(refusals), None if missing == _NO_TEXT else missing, name)
    except LMIncompleteError as error:
        error.tokens = response.usage.input_tokens or 0, response.usage.output_tokens or 0
        raise


def read_result(result: Any, name: str, *, heard: Sequence[str] | None, streamed: bool = False) -> Answer:
    """Returns the text of a result in the form of OpenAI's client and why it ended.

    Args:
        result: DSPy's result of a call.
        name: The model's, for messages.
        heard: What LiteLLM heard from the provider; ``None`` where the answer came another way.
        streamed: Whether it came in pieces.

    Raises:
        LMIncompleteError: if the provider sent no text, or did not finish.
    """
    if result.responses:
        return read_response(result.responses[0], name, streamed=streamed)
    output = result.outputs[0] if result.outputs else None
    text = output.get("text") if isinstance(output, dict) else output
    if streamed and not text:
        text = None
    choices = _get(result.raw, "choices")
    choice = choices[0] if choices else None
    message = _get(choice, "message")
    refusal = _get(message, "refusal") or _get(_get(message, "provider_specific_fields"), "refusal") or ""
    reason = _get(choice, "finish_reason") or _get(_get(result.raw, "incomplete_details"), "reason")
    missing = _NO_CHOICES if output is None and choice is None else None
    # LiteLLM fills in a reason where the provider gave none.
    if heard and ((choice is not None and reason is None) or _NULL_REASON.search(heard[-1])):
        missing = _UNFINISHED
    try:
        return _answer(text, reason, str(refusal), missing, name)
    except LMIncompleteError as error:
        error.tokens = result.usage.get("prompt_tokens") or 0, result.usage.get("completion_tokens") or 0
        raise


def _answer(text: str | None, reason: str | None, refusal: str, missing: str | None, name: str) -> Answer:
    if missing is None:
        if reason in ("length", "max_output_tokens"):
            return text or "", "length"
        if reason == "content_filter" or (text is None and refusal):
            return text or refusal, "refused"
        if text is not None:
            return text, "stop"
    raise LMIncompleteError(f"the model {name!r} gave no answer", found=missing or _NO_TEXT)


def _missing(data: Mapping[str, Any]) -> str | None:
    """What a provider's body lacks of a finished answer, if it is one of the bodies that are known here."""
    choices = data.get("choices")
    if isinstance(choices, list):  # OpenAI's form
        if not choices:
            return _NO_CHOICES
        first = choices[0]
        if not isinstance(first, Mapping) or first.get("finish_reason") is None:
            return _UNFINISHED
        return _NO_TEXT if _get(first.get("message"), "content") is None else None
    if data.get("type") == "message":  # Anthropic's
        return _UNFINISHED if data.get("stop_reason") is None else None
    candidates = data.get("candidates")
    if isinstance(candidates, list):  # Gemini's
        if not candidates:
            return _NO_CHOICES
        return _UNFINISHED if _get(candidates[0], "finishReason") is None else None
    return None


def _text(part: Any) -> str:
    return str(part.text) if isinstance(part, TextPart) else json.dumps(part.value, ensure_ascii=False)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
