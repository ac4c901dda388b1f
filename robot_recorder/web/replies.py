"""What requests of pages may hold, and how errors are answered."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from robot_recorder.model.errors import RecorderError
from robot_recorder.model.text import storable
from robot_recorder.web.workers import BusyError

_GONE = 499  # nobody reads the answer; nginx calls it so in its log


def cookie_name(connection: HTTPConnection) -> str:
    """Return the name of the session's cookie: cookies know no ports, and consoles may share a host."""
    secure = connection.url.scheme in ("https", "wss")
    port = connection.url.port or (443 if secure else 80)
    return f"{'__Host-' if secure else ''}console_{port}"


class Refused(Exception):
    """A request that is answered with a reason.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        """Create it with a sentence for the user."""
        super().__init__(message)
        self.status = status


_SECRETS = {"password", "token"}  # that no log gets


class RequestBody(BaseModel):
    """A request's body: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=4000, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, plain: Any) -> Any:
        """Refuse texts that databases do not take, wherever they are."""
        left = [plain]
        while left:
            one = left.pop()
            if isinstance(one, dict):
                left += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                left += one
            elif isinstance(one, str) and storable(one) != one:
                raise ValueError("a text has a NUL or half of a character: take it out")
        return plain


class SafeJson(JSONResponse):
    """An answer that can always be sent, whatever a robot has put into its bags.

    Lone surrogates become ``?``, and numbers that JSON does not know null.
    """

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            text = _dumped(content)
        except ValueError:
            text = _dumped(_finite(content))
        return text.encode("utf-8", "replace")


def _dumped(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")  # pydantic's words


def address_of(connection: HTTPConnection) -> str:
    """Return the address that a request comes from; empty: unknown."""
    return connection.client.host if connection.client is not None else ""


def audited(body: RequestBody | None) -> dict[str, Any]:
    """Return what a log gets of a request's body: no secrets, nothing that is empty."""
    plain = {} if body is None else body.model_dump(exclude=_SECRETS)
    return {k: v for k, v in plain.items() if v not in ("", None)}


def refusal(refused: Refused) -> SafeJson:
    """Return the answer of a refused request."""
    return SafeJson({"ok": False, "message": str(refused)}, refused.status)


def answer_errors(app: FastAPI) -> None:
    """Answer every error as ``{ok: false, message}``."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> SafeJson:
        return refusal(error)

    @app.exception_handler(RecorderError)
    async def failed(request: Request, error: RecorderError) -> SafeJson:
        status = 429 if isinstance(error, BusyError) else 422
        return SafeJson({"ok": False, "message": str(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> SafeJson:
        where = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"][1:])), _said(e["msg"]))))
            for e in error.errors()
        )
        return SafeJson({"ok": False, "message": f"not understood: {where[:500]}"}, 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> SafeJson:
        return SafeJson({"ok": False, "message": str(error.detail)}, error.status_code)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> SafeJson:
        return SafeJson({"ok": False, "message": "whoever asked has gone"}, _GONE)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> SafeJson:
        logging.getLogger(__name__).error("a request failed", exc_info=error)
        return SafeJson({"ok": False, "message": "the server failed: see its log"}, 500)
