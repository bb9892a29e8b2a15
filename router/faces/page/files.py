"""The page's own files: read once, and served with a tag so that a browser asks only if changed."""

import hashlib
from pathlib import Path
from typing import Final

from aiohttp import web

INDEX: Final = "index.html"

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Files:
    """Every file of the folder, by its name."""

    def __init__(self) -> None:
        paths = [path for path in _FOLDER.iterdir() if path.suffix in _TYPES]
        self._bodies = {path.name: path.read_bytes() for path in paths}
        self._tags = {
            name: hashlib.sha256(body).hexdigest()[:16] for name, body in self._bodies.items()
        }

    def response(self, name: str, request: web.Request) -> web.Response:
        """A file, or that it has not changed. Raises HTTPNotFound for a name that is none."""
        if name not in self._bodies:
            raise web.HTTPNotFound(text="there is nothing here\n")
        tag = self._tags[name]
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        if any(asked.value == tag for asked in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        response = web.Response(
            body=self._bodies[name],
            headers=headers,
            content_type=_TYPES[Path(name).suffix],
            charset="utf-8",
        )
        response.enable_compression()
        return response
