"""A prompt without its last message, read once and ready to answer many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fusionprog.lm.offline.answers import answers_for
from fusionprog.lm.offline.closed_choice import Query
from fusionprog.lm.offline.demonstrations import Demonstration
from fusionprog.lm.offline.extraction import NOTHING, sentences
from fusionprog.lm.offline.prompt_fields import parse_system_message
from fusionprog.lm.offline.similarity import Similarity
from fusionprog.lm.offline.syntaxes import syntax_of

Turn = tuple[str, str]
_SYSTEM_ROLES = ("system", "developer")


class PreparedPrompt:
    """Everything that calls with the same prompt share: fields, evidence and demonstrations.

    It holds nothing that changes, so threads may share it.
    """

    def __init__(self, turns: Sequence[Turn], similarity: Similarity) -> None:
        """Read the prompt.

        Args:
            turns: Pairs of role and text, without the message that is to be answered.
            similarity: How texts are compared.
        """
        system = parse_system_message("\n".join(text for role, text in turns if role in _SYSTEM_ROLES))
        self._similarity = similarity
        self._inputs = system.inputs
        self._syntax = syntax_of(system)
        demonstrations = [
            Demonstration(
                self._syntax.read_inputs(question, system.inputs),
                self._syntax.read_outputs(reply, system.outputs),
            )
            for (first, question), (second, reply) in pairwise(turns)
            if (first, second) == ("user", "assistant")
        ]
        self._answers = answers_for(system, demonstrations, similarity)

    def answer(self, text: str) -> str:
        """Answer a user message.

        Args:
            text: The message.

        Returns:
            All outputs in the prompt's syntax; for a prompt of another layout the message's first sentence.
        """
        if not self._answers:
            return next(iter(sentences(text)), NOTHING)
        query = Query(self._syntax.read_inputs(text, self._inputs), self._similarity)
        return self._syntax.write([(field, answer(query)) for field, answer in self._answers])
