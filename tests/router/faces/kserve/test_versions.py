"""A model's versions as KServe's protocol shows them."""

from dataclasses import replace

from router.policy.rollout import Rollout
from tests.router.live.conftest import HOME, address, engine, fleet_of, route
from wire.kserve import inference_pb2 as pb
from wire.kserve.inference_pb2_grpc import GRPCInferenceServiceStub

ROLLOUT = Rollout("chat", "chat-v1")


def _asked(**inputs):
    request = pb.ModelInferRequest(model_name="chat", id="1")
    for name, value in inputs.items():
        kind = "BOOL" if isinstance(value, bool) else "BYTES"
        tensor = request.inputs.add(name=name, datatype=kind, shape=(1,))
        contents = tensor.contents
        (contents.bool_contents if kind == "BOOL" else contents.bytes_contents).append(value)
    return request


async def test_an_answer_names_the_version_that_gave_it():
    """Beside the name that was asked for; whole in the trailers as well, and in every piece."""
    fleet = replace(fleet_of(HOME), rollouts=(ROLLOUT,))
    async with (
        engine(itl_s=0, served_names=("chat-v1",)) as server,
        route({"home": [address(server)]}, fleet=fleet) as routed,
    ):
        stub = GRPCInferenceServiceStub(routed.channel)
        assert (await stub.ModelReady(pb.ModelReadyRequest(name="chat"))).ready
        call = stub.ModelInfer(_asked(text_input=b"41"))
        answer = await call
        assert answer.model_name == "chat"
        assert answer.parameters["served_model"].string_param == "chat-v1"
        assert dict(await call.trailing_metadata())["x-spillway-model"] == "chat-v1"

        async def requests():
            yield _asked(text_input=b"41", stream=True)

        pieces = [one async for one in stub.ModelStreamInfer(requests())]
        assert pieces
        for piece in pieces:
            assert not piece.error_message
            assert piece.infer_response.parameters["served_model"].string_param == "chat-v1"
