"""A web server on this machine that serves files well or badly, for tests of what fetches them."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pkef_fast.fetch import File


def published(name: str, content: bytes, sized: bool = True) -> File:
    """The file of a repository with this content."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return File(name, blob, len(content) if sized else None)


class Server(ThreadingHTTPServer):
    """Serves `files` {path: content} as `manner` says; `asked` lists (path, Range header)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.manner = "whole"
        self.status = 200
        self.redirect: str | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        self.ended = False  # an answer that stalls, by itself

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what is tested


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append((self.path, asked))
        if server.redirect:
            return self._head(302, Location=server.redirect)
        if server.status != 200 or self.path not in server.files:
            return self._head(server.status if server.status != 200 else 404)
        content = server.files[self.path]
        begun = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if server.manner in ("no ranges", "chunked") or not begun:
            begun, status, more = 0, 200, {}
        elif begun >= len(content):
            return self._head(416)
        else:
            if server.manner == "wrong ranges":
                begun -= 1
            status, more = (
                206,
                {"Content-Range": f"bytes {begun}-{len(content) - 1}/{len(content)}"},
            )
        body = content[begun:]
        if server.manner != "chunked":
            more["Content-Length"] = str(len(body))
        self._head(status, **more)
        self._body(body)

    def _body(self, body):
        manner = self.server.manner
        if manner == "cut":
            body = body[: len(body) // 2]
        if manner == "stalls":
            self.wfile.write(body[:10])
            self.wfile.flush()
            self.server.ended = not self.server.over.wait(20)
        elif manner == "crawls":
            for n in range(len(body)):
                self.wfile.write(body[n : n + 1])
                if self.server.over.wait(0.05):
                    return
        elif manner == "endless":
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                self.wfile.write(body)
        else:
            self.wfile.write(body)

    def _head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status >= 300:
            self.send_header("Content-Length", "0")
        if self.server.manner == "endless":
            self._headers_buffer = [
                one for one in self._headers_buffer if not one.startswith(b"Content-Length")
            ]
        self.end_headers()


@contextlib.contextmanager
def serving():
    """A server that runs while the block does."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
