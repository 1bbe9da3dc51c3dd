"""DSPy's settings of this thread, at a cost that every call and every score can bear.

``dspy.context`` and ``dspy.settings`` do the same in microseconds. Beside ``dspy_lm`` this is the one file that knows
names which DSPy does not document.
"""

from __future__ import annotations

from contextvars import Token
from typing import Any

from dspy.dsp.utils.settings import main_thread_config, thread_local_overrides

_HEARD = ("callbacks", "usage_tracker", "send_stream")


def setting(name: str) -> Any:
    """Returns a setting; ``None`` where there is none."""
    overrides = thread_local_overrides.get()
    return overrides[name] if name in overrides else main_thread_config.get(name)


def somebody_listens() -> bool:
    """Whether DSPy's settings have anything that hears of calls."""
    overrides = thread_local_overrides.get() or main_thread_config
    for name in _HEARD:
        if overrides[name] if name in overrides else main_thread_config[name]:
            return True
    return False


class Overriding:
    """A context within which settings are others.

    Args:
        settings: They.
    """

    __slots__ = ("_settings", "_token")

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._token: Token[Any] | None = None

    def __enter__(self) -> None:
        before = thread_local_overrides.get()
        self._token = thread_local_overrides.set(type(before)({**before, **self._settings}))

    def __exit__(self, *failure: object) -> None:
        assert self._token is not None
        thread_local_overrides.reset(self._token)
