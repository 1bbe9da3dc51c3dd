"""Keeps keys and passwords out of messages, identities and whatever is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

_WORDS = r"api[_-]?keys?|key|token|secret|signature|sig|password|credentials?|headers?|cookies?|auth|authorization"
_NAME = re.compile(rf"(?:^|[_-])(?:{_WORDS})(?:$|[_-])", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"//[^/@\s]*@")
# A password that is not quoted may have an @ or a slash; what follows a port is a path.
_URL_USER = re.compile(r"//([^:/@\s]*)(?::((?!\d+/)\S*))?@")
_PARTS = re.compile(r"[/@?#]")  # where clients end the credentials that they show
_URL_PARAMETER = re.compile(rf"([?&](?:[^=&\s]*[_-])?(?:{_WORDS})=)([^&\s]+)", re.IGNORECASE)
_LOOKS_SECRET = re.compile(r"\bsk-[\w-]{8,}|(?<=Bearer )\S+")
_SHORTEST = 6  # a shorter value is no key, and taking it out would spoil the text


def without_credentials(text: str) -> str:
    """Returns a text in which URLs have neither user and password nor secret parameters."""
    return _URL_PARAMETER.sub(r"\1***", _URL_CREDENTIALS.sub("//", text))


def public(value: Any) -> Any:
    """Returns JSON data without the entries whose names say that they are secret, and with clean URLs."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not _NAME.search(key)}
    if isinstance(value, list):
        return [public(item) for item in value]
    return without_credentials(value) if isinstance(value, str) else value


def secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields the values whose names say that they are secret, and the credentials in URLs."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from secrets_in({key if _NAME.search(key) else name: item for key, item in value.items()})
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from secrets_in({name: item})
        elif isinstance(value, str):
            found = [value, value.rpartition(" ")[2]] if _NAME.search(name) else []  # "Bearer ..." and what it bears
            yield from (secret for secret in (*found, *_in_url(value)) if len(secret) >= _SHORTEST)


def _in_url(text: str) -> Iterator[str]:
    if "//" not in text:
        return
    for user, password in _URL_USER.findall(text):
        for part in (user, password, *_PARTS.split(password)):
            yield from (part, unquote(part))
    for parameter in _URL_PARAMETER.finditer(text):
        yield from (parameter[2], unquote(parameter[2]))


def redact(text: str, *sources: Mapping[str, Any]) -> str:
    """Returns a text without the secrets of ``sources`` and without what looks like one."""
    secrets = {secret for source in sources for secret in secrets_in(source) if secret in text}
    for secret in sorted(secrets, key=len, reverse=True):  # the longest first: one may be a part of another
        text = text.replace(secret, "***")
    return _LOOKS_SECRET.sub("***", without_credentials(text))
