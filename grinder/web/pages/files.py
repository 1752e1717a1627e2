"""The shell of the dashboard and its files, from the package.

Law: only files that were in the package when the program started are served, by name, and the script of the
charting library out of its own package.  The policy lets the browser run these files and nothing else: no
inline script, no other origin.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs
from aiohttp import web

from grinder.web.call import Call
from grinder.web.problems import Problem

FOLDER: Final = Path(__file__).resolve().parents[1] / "static"

NAMES: Final = r"[a-z][a-z0-9/._-]{0,60}"

LIBRARY: Final = "lib/plotly.js"
"""What the pages call the charting library; they ask for it when there is a chart to draw."""

KINDS: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'none'",
        "base-uri 'none'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # A newer program must not meet the files of an older one; with the tag this costs one short answer.
    "Cache-Control": "no-cache",
}


@attrs.frozen
class File:
    """A file in memory; `packed` is its content compressed, where that is done beforehand."""

    content: bytes
    kind: str
    tag: str
    packed: bytes = b""


def _tag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'


@cache
def library() -> File | None:
    """The charting library's script; None where its package is not installed."""
    found = find_spec("plotly")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "package_data" / "plotly.min.js"
    if not path.is_file():
        return None
    content = path.read_bytes()
    # It is large: compressed once, not for every reader.
    return File(content, KINDS[".js"], _tag(content), gzip.compress(content, 6, mtime=0))


@cache
def files() -> dict[str, File]:
    """Every file, by its path below the folder."""
    found: dict[str, File] = {}
    for path in sorted(FOLDER.rglob("*")):
        kind = KINDS.get(path.suffix)
        if kind is not None and path.is_file():
            content = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            found[name] = File(content, kind, _tag(content))
    return found


async def _answer(call: Call, name: str) -> web.Response:
    file = await asyncio.to_thread(library) if name == LIBRARY else files().get(name)
    if file is None:
        raise Problem(404, "page.file", "there is no such file", value=name)
    headers = {**HEADERS, "ETag": file.tag}
    if call.request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    if file.packed and "gzip" in call.request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return web.Response(body=file.packed, content_type=file.kind, charset="utf-8", headers=headers)
    answer = web.Response(body=file.content, content_type=file.kind, charset="utf-8", headers=headers)
    if not file.packed:
        answer.enable_compression()
    return answer


async def shell(call: Call) -> web.Response:
    """The page every page is drawn into."""
    return await _answer(call, "index.html")


async def static(call: Call) -> web.Response:
    """A style, script or picture."""
    return await _answer(call, call.part("name"))
