"""Which addresses are asked, and which redirects are followed: https, or this machine itself."""

from __future__ import annotations

import ipaddress
import urllib.request
from http.client import HTTPResponse
from urllib.parse import urlsplit

from ..errors import InputError

BASE = "https://raw.githubusercontent.com"


def checked_base(mirror: str | None) -> str:
    """The base address of files: GitHub's, or a mirror's.

    Raises
    ------
    InputError
        When the mirror is no address of a web server.
    """
    if mirror is None:
        return BASE
    try:
        parts = urlsplit(mirror)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None:
        shown = mirror.rpartition("@")[2]  # a password stays out of the sentence
        raise InputError(
            f"the mirror {shown!r} is no base address; wanted one such as "
            "https://mirror.example/raw, under which files lie as OWNER/NAME/COMMIT/PATH."
        )
    return mirror.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ForeignRedirect(Exception):
    """A redirect that is not followed; its text is the address."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        scheme = urlsplit(newurl).scheme
        inside = scheme == "http" and is_loopback(req.full_url) and is_loopback(newurl)
        if scheme != "https" and not inside:
            raise ForeignRedirect(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(url: str, first_byte: int, timeout: float) -> HTTPResponse:
    """The answer to a request for a file, from a byte on."""
    headers = {"User-Agent": "pkef-fast", "Accept-Encoding": "identity"}
    if first_byte:
        headers["Range"] = f"bytes={first_byte}-"
    handlers = [_Redirects()]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine
    request = urllib.request.Request(url, headers=headers)
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout)
