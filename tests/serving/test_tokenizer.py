"""The service spillway.v1.Tokenizer of a replica."""

import dataclasses

import grpc
import pytest

from serving import tokenizer
from serving.fake_engine import TOKENIZER
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_pb2_grpc import TokenizerStub


async def read(served, model=""):
    """The pieces of each file."""
    files = {}
    async for piece in TokenizerStub(served.channel).ReadTokenizer(
        pb.ReadTokenizerRequest(model=model)
    ):
        files.setdefault(piece.file, []).append(piece.content)
    return files


@pytest.fixture
def folder(served, tmp_path):
    """The engine's tokenizer is in this folder instead."""
    engine = served.engine
    engine._info = dataclasses.replace(engine.info, tokenizer_folder=tmp_path)
    return tmp_path


async def test_the_files_are_sent(served):
    """By any of the model's names, or none."""
    for model in ("", "fake"):
        files = await read(served, model)
        assert {name: b"".join(pieces) for name, pieces in files.items()} == {
            path.name: path.read_bytes() for path in TOKENIZER.iterdir()
        }


async def test_files_can_be_asked_for_by_name(served):
    """A client needs the template alone."""
    stub = TokenizerStub(served.channel)
    request = pb.ReadTokenizerRequest(files=["tokenizer_config.json", "../secret"])
    assert {piece.file async for piece in stub.ReadTokenizer(request)} == {"tokenizer_config.json"}


async def test_a_large_file_is_sent_in_pieces_and_others_not_at_all(served, folder):
    content = bytes(tokenizer.PIECE_BYTES) + b"end"
    (folder / "tokenizer.json").write_bytes(content)
    (folder / "chat_template.jinja").write_bytes(b"x")
    (folder / "model.safetensors").write_bytes(b"secret")
    files = await read(served)
    assert list(files) == ["tokenizer.json", "chat_template.jinja"]
    assert [len(piece) for piece in files["tokenizer.json"]] == [tokenizer.PIECE_BYTES, 3]


async def test_too_much_is_refused(served, folder, monkeypatch):
    monkeypatch.setattr(tokenizer, "FILES_BYTES_MAX", 10)
    (folder / "tokenizer.json").write_bytes(bytes(11))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(served)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_what_is_not_there_is_said(served, folder):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(served, "other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    folder.rmdir()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(served)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
