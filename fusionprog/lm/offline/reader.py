"""The offline reader: messages in, text out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from fusionprog.errors import LMError
from fusionprog.lm.offline.prepared_prompt import PreparedPrompt, Turn
from fusionprog.lm.offline.similarity import LEXICAL, Similarity


class OfflineReader:
    """Answers rendered chat messages by similarity: lexical, with no model and no knowledge of its own, or another.

    An answer depends on the messages alone: it is the same on every run, in any order, in any thread.

    Example:
        >>> reader = OfflineReader()
        >>> reader.read([{"role": "user", "content": "Where is my parcel? It is late."}])
        'Where is my parcel?'
    """

    def __init__(self, capacity: int = 128, similarity: Similarity = LEXICAL) -> None:
        """Start with nothing prepared.

        Args:
            capacity: How many prompts to keep prepared, at least 1. Calls that share all messages but the
                last one share a prompt.
            similarity: How texts are compared.
        """
        self._similarity = similarity
        self._capacity = max(1, capacity)
        self._slots: OrderedDict[tuple[Turn, ...], _Slot] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[OfflineReader], tuple[int, Similarity]]:
        """Copy and pickle without what is prepared: locks allow neither, and answers do not depend on it."""
        return OfflineReader, (self._capacity, self._similarity)

    def read(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Answer the last user message.

        Args:
            messages: A system message, demonstrations as pairs of user and assistant messages, and the user
                message to answer, each with ``role`` and ``content``.

        Returns:
            The outputs that the system message asks for, in its format.

        Raises:
            LMError: If there is no user message.

        Note:
            The first call with a new prompt takes some milliseconds, the next ones a fraction of one.
        """
        turns = [(message["role"], _plain(message.get("content"))) for message in messages]
        last = next((place for place in reversed(range(len(turns))) if turns[place][0] == "user"), None)
        if last is None:
            raise LMError(
                "the offline reader has nothing to answer",
                expected="a user message",
                found=f"{len(turns)} messages without one",
                fix="Send the rendered messages of a call",
            )
        return self._prepared(tuple(turns[:last])).answer(turns[last][1])

    def _prepared(self, turns: tuple[Turn, ...]) -> PreparedPrompt:
        with self._lock:
            slot = self._slots.setdefault(turns, _Slot())
            self._slots.move_to_end(turns)
            if len(self._slots) > self._capacity:
                self._slots.popitem(last=False)
        # A lock per prompt: callers of a new one wait for its single preparation, those of others go on.
        with slot.lock:
            if slot.prompt is None:
                slot.prompt = PreparedPrompt(turns, self._similarity)
        return slot.prompt


class _Slot:
    def __init__(self) -> None:
        self.lock = Lock()
        self.prompt: PreparedPrompt | None = None


def _plain(content: Any) -> str:
    """The text of a message; of a message in parts, the texts among them."""
    if isinstance(content, list):
        content = "\n".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    # Lone surrogates cannot be hashed or sent.
    return str(content or "").encode("utf-8", "replace").decode("utf-8")
