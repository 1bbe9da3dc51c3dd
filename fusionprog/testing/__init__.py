"""Help for tests of programs that call language models.

``LMServer`` is a real OpenAI-compatible HTTP server in front of a function from messages to text, of a ``Script`` or
of the offline reader, with settable latency and faults; ``TextModel`` and ``ScriptedModel`` are the same without HTTP,
and ``engine`` puts a function behind ``dspy.LM``. The server and the models count what they are asked.
``server_process`` runs the server in a process of its own.

Follow a request: ``http`` (bytes) → ``content`` (what is asked) → ``scenario`` and ``faults`` (what goes wrong) →
``text`` or ``script`` (the answer) → ``chat`` or ``embeddings`` (its JSON) → ``log`` (what happened).
"""

from __future__ import annotations

from fusionprog.testing.engines import AsyncTextEngine, TextEngine, engine
from fusionprog.testing.faults import ErrorAnswer, Fault, Faults, error
from fusionprog.testing.log import Outcome, RequestRecord
from fusionprog.testing.models import ScriptedModel, TextModel
from fusionprog.testing.script import Script
from fusionprog.testing.server import LMServer
from fusionprog.testing.text import TextFunction, offline_text

__all__ = [
    "AsyncTextEngine",
    "ErrorAnswer",
    "Fault",
    "Faults",
    "LMServer",
    "Outcome",
    "RequestRecord",
    "Script",
    "ScriptedModel",
    "TextEngine",
    "TextFunction",
    "TextModel",
    "engine",
    "error",
    "offline_text",
]
