"""What ssh says when it fails, as one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Where ssh goes.

    Attributes:
        destination: "USER@HOST" or "HOST", which may be a name in the user's ssh configuration.
        port: None for the configured one.
    """

    destination: str
    port: int | None = None

    def __str__(self) -> str:
        return self.destination if self.port is None else f"{self.destination}:{self.port}"

    @property
    def arguments(self) -> list[str]:
        """What ssh is told."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return [*port, self.destination]


def last_line(text: str) -> str:
    """Return the last line that says something, or ""."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def explain(code: int, errors: str, address: Address, python: str) -> str:
    """Say in one line why no agent runs on the device, and what to do.

    Args:
        code: exit code of ssh: 255 for its own failures, else that of the command there.
        errors: what ssh and the command wrote.
        address: of the device.
        python: the Python that was to run there.
    """
    if code == 127:
        return (
            f"there is no '{python}' on the device; install Python 3.10 or newer there, or name "
            "it with --device-python"
        )
    if code == 126:
        return f"'{python}' can't be run on the device; name another with --device-python"
    for words, text in _CAUSES:
        if words in errors:
            return text(address)
    if code != 255:
        reason = last_line(errors) or "it wrote nothing"
        return (
            f"'{python}' ended at once on the device with exit code {code} ({reason}); try "
            f"{_by_hand(address)} and '{python} --version' there"
        )
    return f"no connection: {last_line(errors) or 'ssh does not say why'}"


def _by_hand(address: Address) -> str:
    return "'" + " ".join(["ssh", *address.arguments]) + "'"


# What OpenSSH writes, and what to do about it; the first that fits counts.
_CAUSES: tuple[tuple[str, Callable[[Address], str]], ...] = (
    (
        "Could not resolve hostname",
        lambda address: (
            f"no host of the name {address.destination.rpartition('@')[2]}; check the name, or "
            "give the device's IP address"
        ),
    ),
    (
        "Connection refused",
        lambda address: (
            f"the device refuses connections on port {address.port or 'of ssh'}; start an ssh "
            "server there, or name its port: ssh:USER@HOST:PORT"
        ),
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        lambda address: (
            "the device's host key is another than before; if you know why (a new system on it), "
            f"run 'ssh-keygen -R' for it and connect once with {_by_hand(address)}"
        ),
    ),
    (
        "Host key verification failed",
        lambda address: (
            f"the device's host key is not known; connect once with {_by_hand(address)} and "
            "compare the key"
        ),
    ),
    (
        "Permission denied",
        lambda address: (
            "login refused: ssh must log in with a key and without a question; run "
            f"'ssh-copy-id {' '.join(address.arguments)}' once, and check the user's name"
        ),
    ),
    (
        "Too many authentication failures",
        lambda address: (
            "login refused after too many keys; name the right one for this host with "
            "IdentityFile and IdentitiesOnly in ~/.ssh/config"
        ),
    ),
    (
        "timed out",
        lambda address: "no answer; is the device on, and in the same network?",
    ),
    ("No route to host", lambda address: "no way to the device; is it on, and in the network?"),
    (
        "Network is unreachable",
        lambda address: "no network leads to the device; check your own connection",
    ),
)
