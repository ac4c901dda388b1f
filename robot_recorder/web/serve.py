"""Serve an application by uvicorn until a signal."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from robot_recorder.model.errors import ConfigError
from robot_recorder.web.connections import BROWSERS, ConnectionLimits, patient_protocol
from robot_recorder.web.settings import WebSettings


class _Server(uvicorn.Server):
    """Ends in order however many signals come; uvicorn's would drop its work at the second Ctrl-C."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal."""
        if not self.should_exit:
            super().handle_exit(sig, frame)


async def serve_pages(
    app: Any,
    settings: WebSettings,
    name: str,
    told: Callable[[str], None],
    limits: ConnectionLimits = BROWSERS,
    **options: Any,
) -> None:
    """Serve an application until SIGINT or SIGTERM, and say where it is.

    Args:
        app: ASGI application.
        settings: address and certificate.
        name: of the server, for messages.
        told: called with the address, once it listens.
        limits: of connections.
        options: more of uvicorn's.

    Raises:
        ConfigError: the port is taken, or a certificate cannot be read.
    """
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, log_level="warning",
        access_log=False, server_header=False, date_header=False,
        proxy_headers=bool(settings.proxy), forwarded_allow_ips=settings.proxy or "127.0.0.1",
        limit_concurrency=limits.most + 100, timeout_keep_alive=10, timeout_graceful_shutdown=2,
        http=patient_protocol(limits), backlog=128, ws="websockets-sansio", ws_ping_interval=5, ws_ping_timeout=10, **options,
        ssl_certfile=settings.certificate, ssl_keyfile=settings.key,
    )  # fmt: skip
    try:
        config.load()
        taken = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
        )
    except OSError as error:
        raise ConfigError(
            f"the {name} cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            "give another port, or 0 for any free one"
        ) from error
    server = _Server(config)
    # The server ends at a signal, then raises it again: it has done its work by then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    scheme = "https" if settings.certificate is not None else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    told(f"{name}: {scheme}://{host}:{taken.getsockname()[1]}/")
    if not settings.local and settings.certificate is None and not settings.proxy:
        logging.getLogger(__name__).warning(
            "passwords and pictures travel in clear text on %s: give certificate and key",
            settings.host,
        )
    await server.serve(sockets=[taken])
