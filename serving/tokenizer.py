"""The service spillway.v1.Tokenizer: the files that make token ids of messages and text."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import grpc

from serving.engine import Engine
from wire.engine.bundle import archive_of
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_files import (
    FILES_BYTES_MAX,
    PIECE_BYTES,
    TEMPLATE_FILE,
    TOKENIZER_FILES,
)
from wire.status import CallContext, CallError, bad_field, failure


class TokenizerFiles:
    """ReadTokenizer over the tokenizer's folder of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._archive = b""  # what it takes to make one is spent once
        self._archiving = asyncio.Lock()

    async def read(
        self, request: pb.ReadTokenizerRequest, context: CallContext
    ) -> AsyncIterator[pb.TokenizerPiece]:
        """The files piece by piece, read beside the event loop."""
        try:
            pieces = _pieces(self._folder(request.model), request.files)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        except CallError as error:
            error.set_on(context)

    async def archive(self) -> bytes:
        """All files in one ZIP archive. Raises CallError."""
        async with self._archiving:
            if not self._archive:
                self._archive = await asyncio.to_thread(_archived, self._folder(""))
            return self._archive

    def _folder(self, model: str) -> Path:
        info = self._engine.info
        if model and model not in info.served_names:
            known = ", ".join(info.served_names)
            missing = f"is not served here; known: {known}"
            raise bad_field("model", missing, grpc.StatusCode.NOT_FOUND)
        if info.tokenizer_folder is None or not info.tokenizer_folder.is_dir():
            raise failure(grpc.StatusCode.UNIMPLEMENTED, "this engine has no tokenizer's files")
        return info.tokenizer_folder


def _archived(folder: Path) -> bytes:
    files: defaultdict[str, bytes] = defaultdict(bytes)
    for piece in _pieces(folder, ()):
        files[piece.file] += piece.content
    if not files:
        raise failure(grpc.StatusCode.UNIMPLEMENTED, "this engine has no tokenizer's files")
    return archive_of(files)


def _pieces(folder: Path, names: Collection[str]) -> Iterator[pb.TokenizerPiece]:
    """Raises CallError where the files are too large to be sent, or cannot be read."""
    wanted = [name for name in (*TOKENIZER_FILES, TEMPLATE_FILE) if not names or name in names]
    paths = [path for name in wanted if (path := folder / name).is_file()]
    if sum(path.stat().st_size for path in paths) > FILES_BYTES_MAX:
        raise failure(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"the tokenizer's files have more than {FILES_BYTES_MAX} bytes",
        )
    for path in paths:
        try:
            with path.open("rb") as file:
                while content := file.read(PIECE_BYTES):
                    yield pb.TokenizerPiece(file=path.name, content=content)
        except OSError as error:
            message = f"{path.name} cannot be read: {error.strerror}"
            raise failure(grpc.StatusCode.INTERNAL, message) from error
