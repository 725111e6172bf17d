"""Serve the view: one process, one port, until it is interrupted."""

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from separatrix.study.errors import UsageError

__all__ = ["serve_view"]


def serve_view(
    store: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    files: Sequence[str] = (),
    tell: Callable[[str], None] = lambda address: print(
        f"view: {address} (stop with Ctrl-C)", file=sys.stderr, flush=True
    ),
) -> None:
    """Serve pages over a store until interrupted.

    Args:
        store: folder of all runs; it may be missing.
        host: to listen on; other than the loopback interface only with a token.
        port: to listen on; 0 takes a free one.
        token: what a visitor must know, at least 12 characters.
        files: Python files that define a study each, beside those of this version.
        tell: is given the address when it can be opened.

    Raises:
        UsageError: if a package of the extra `view` is missing, the port is taken, or host and token do not fit.
    """
    try:
        import uvicorn

        from .application import create_app
        from .security import Access
    except ImportError as error:
        name = (error.name or "starlette").partition(".")[0]
        if name == "separatrix":
            raise
        raise UsageError(f"the view needs {name}; install it with: pip install 'separatrix[view]'") from None

    Access.of(host, port, token)
    listener = _listen(host, port)
    port = int(listener.getsockname()[1])
    app = create_app(Path(store), Access.of(host, port, token), files)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    shown = f"[{host}]" if ":" in host else host
    tell(f"http://{shown}:{port}/")
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen on {host} port {port} ({why}); choose another with --port") from None
    return listener
