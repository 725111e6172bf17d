"""Who may talk to the view: the guard before every request.

A page of another site must reach nothing (foreign `Host`, as in DNS rebinding, and foreign `Origin` are refused), must
change nothing (a secret of this process goes with every change), and must not run or load anything within our pages (a
content security policy allows this server alone). Beyond the loopback interface a token is needed as well.
"""

import hashlib
import hmac
import ipaddress
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from separatrix.study.errors import UsageError

from .markup import login_page

__all__ = ["Access", "Guard", "form_of", "is_loopback"]

EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # of no text: the plotting library sets style=""
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-hashes' {EMPTY}; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
COOKIE = "separatrix_view"
MIN_TOKEN = 12
MAX_BODY = 64_000
ANY = ("0.0.0.0", "::", "")
PUBLIC = ("/static/view.css", "/static/report.css")


class Access(NamedTuple):
    """Where the view listens, and who is let in.

    Attributes:
        host: name or address it is bound to.
        port: of it; 0 lets any port pass, for tests.
        token: what a visitor must know, None on the loopback interface.
        csrf: secret of this process, sent with every change.
    """

    host: str
    port: int
    token: str | None
    csrf: str

    @classmethod
    def of(cls, host: str, port: int, token: str | None) -> "Access":
        """Check that host and token fit.

        Args:
            host: to bind to.
            port: to bind to.
            token: the visitor's, if one is wanted.

        Raises:
            UsageError: if the host is not the loopback interface and there is no token, or a short one.
        """
        if not is_loopback(host) and token is None:
            raise UsageError(f"--host {host} lets other machines in; it needs --token with a secret of your choice")
        if token is not None and len(token) < MIN_TOKEN:
            raise UsageError(f"--token needs at least {MIN_TOKEN} characters; got {len(token)}")
        return cls(host, port, token, secrets.token_urlsafe(24))

    def cookie(self) -> str:
        """What a visitor who knew the token carries; it ends with this process and does not tell the token."""
        return hmac.new(self.csrf.encode(), (self.token or "").encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host.

    Args:
        host: a name or an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("::1")
        (True, True, False, True)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware that refuses what must not come through and adds the headers that browsers obey."""

    def __init__(self, app: ASGIApp, access: Access):
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refused(scope) or await self._locked(scope, receive)
        await (refused or self.app)(scope, receive, send_with_headers)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            return PlainTextResponse(f"this view does not answer to the host {host[:80]!r}", 421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("only GET, HEAD and POST are answered", 405)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("requests from other sites are refused", 403)
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and (scope["method"] == "POST" or scope["path"].startswith("/api/")):
            return PlainTextResponse("requests from other sites are refused", 403)
        return None

    def _known(self, host: str) -> bool:
        try:
            split = urlsplit(f"//{host}")
            name, port = split.hostname or "", split.port or 80
        except ValueError:
            return False
        if self.access.port and port != self.access.port and self.access.token is None:
            return False
        if self.access.host in ANY:
            return bool(name)  # the token guards it: a page under another name carries no cookie of ours
        return is_loopback(name) or name == self.access.host.strip("[]").lower()

    async def _locked(self, scope: Scope, receive: Receive) -> Response | None:
        """Ask for the token where there is one."""
        if self.access.token is None or scope["path"] in PUBLIC:
            return None
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = _cookie(headers.get("cookie", ""))
        if _same(given, self.access.token) or _same(cookie, self.access.cookie()):
            return None
        if scope["path"] == "/login" and scope["method"] == "POST":
            form = await form_of(Request(scope, receive))
            if form is not None and _same(form.get("token", ""), self.access.token):
                response = RedirectResponse("/", 303)
                response.set_cookie(COOKIE, self.access.cookie(), httponly=True, samesite="strict")
                return response
            return HTMLResponse(login_page("This is not the token."), 401)
        if scope["path"].startswith("/api/"):
            return PlainTextResponse("this view needs its token", 401)
        return HTMLResponse(login_page(""), 401)


def _same(given: str, wanted: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


async def form_of(request: Request) -> dict[str, str] | None:
    """Read a small URL-encoded form.

    Args:
        request: with the form as its body.

    Returns:
        The last value of each field; None if the body is too large or not text.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=500)
    except ValueError:
        return None
    return {name: values[-1] for name, values in fields.items()}
