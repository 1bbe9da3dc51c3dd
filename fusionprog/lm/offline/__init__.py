"""The offline reader: a small, deterministic stand-in for a language model.

It gets the rendered chat messages and nothing else, reads field types, label names, glossaries, hints and
demonstrations in them, and answers by similarity. It is no language model: closed choices go to the nearest evidence
in the prompt, free text is extracted from the inputs. How texts are compared (``similarity``) is lexical, or by the
vectors of a sentence model (``semantic``): two readers that share all else.

Follow a message: ``reader`` → ``prepared_prompt`` → ``syntaxes`` and ``prompt_fields`` (what is asked) →
``answers`` (who answers a field) → ``closed_choice``, ``extraction``, ``quantities`` (the answer).
"""

from __future__ import annotations

from fusionprog.lm.offline.field_types import can_fill
from fusionprog.lm.offline.reader import OfflineReader

__all__ = ["OfflineReader", "can_fill"]
