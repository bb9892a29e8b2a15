"""A scripted server that counts as the fake engine does, and breaks off where a test tells it.

It has no load reports and so no identity: it stands for a plain vLLM server.
"""

from itertools import islice

import grpc

from serving.counting import count_on
from wire.vllm.inference_pb2 import FinishInfo, GenerateRequest, GenerateResponse


def counted_on(text, tokens):
    """What an engine that counts says after a text: a token for each byte."""
    return bytes(islice(count_on(text.encode()), tokens)).decode()


def counts(breaks_after=None, code=grpc.StatusCode.UNAVAILABLE, bend=None):
    """A script that counts on, two tokens a message; `bend` changes a token at its place."""

    async def script(raw, context):
        request = GenerateRequest.FromString(raw)
        prompt = bytes(request.token_ids.ids) or request.text.encode()
        most = request.stopping.max_new_tokens or 20
        tokens = bytearray(islice(count_on(prompt), most))
        if bend is not None:
            tokens[bend] = ord("x")
        for start in range(0, most, 2):
            if breaks_after is not None and start >= breaks_after:
                context.set_code(code)
                context.set_details("broke off")
                return
            response = GenerateResponse()
            if start == 0:
                response.prompt_info.num_prompt_tokens = len(prompt)
                if request.response.prompt_token_ids:
                    response.prompt_info.token_ids[:] = prompt
            outputs, piece = response.outputs, tokens[start : start + 2]
            outputs.text = piece.decode()
            outputs.num_tokens = len(piece)
            if request.response.output_token_ids:
                outputs.token_ids[:] = piece
            if start + 2 >= most:
                outputs.finish_info.num_output_tokens = most
                outputs.finish_info.finish_reason = FinishInfo.LENGTH
            await context.write(response.SerializeToString())

    return script
