"""How a server of pages is set up."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """Address, users and certificate of a server of pages.

    Attributes:
        host: address to listen on.
        port: 0: any free one.
        users: users file; None: none.
        token: token file; None: none.
        certificate, key: PEM files for HTTPS; None: HTTP.
        allowed_hosts: further names that browsers use for this machine.
        proxy: address of a proxy that speaks HTTPS with browsers and is believed who asks; empty: none.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    users: Path | None = None
    token: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    proxy: str = ""

    @property
    def local(self) -> bool:
        """Return whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the names that browsers may use for it, besides addresses."""
        own = socket.gethostname().lower()
        names = () if self.local else (own, f"{own}.local", self.host.lower())
        return (*names, *(name.lower() for name in self.allowed_hosts))

    @property
    def _open_by(self) -> str:
        return f"proxy {self.proxy}" if self.proxy else f"host {self.host}"

    def check(self) -> None:
        """Refuse what would be unsafe.

        Raises:
            ConfigError: others could reach it without logging in, or a certificate lacks its key.
        """
        if (not self.local or self.proxy) and self.users is None and self.token is None:
            raise ConfigError(
                f"{self._open_by} lets other machines reach the server: give users:=FILE (robot-recorder console "
                "user NAME makes one) or token:=FILE, or listen on 127.0.0.1"
            )
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("certificate and key belong together: give both files, or neither")
