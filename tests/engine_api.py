"""Requests of vLLM's engine API as gateways make them, and what is answered."""

from wire.engine import engine_pb2


def asked(text="count 7", *, stream=True, request_id="", **params):
    """A request as gateways make it: of token ids, which are bytes here."""
    return engine_pb2.GenerateRequest(
        request_id=request_id,
        tokenized=engine_pb2.TokenizedInput(input_ids=text.encode()),
        sampling_params=engine_pb2.SamplingParams(**params),
        stream=stream,
    )


async def said(stub, request, **kwargs):
    """All messages of an answer."""
    return [message async for message in stub.Generate(request, **kwargs)]
