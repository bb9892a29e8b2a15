"""The service vllm.Control: what the engine is, and how to end its requests."""

from serving.engine import Engine
from wire.status import CallContext
from wire.vllm import control_pb2 as pb

API_VERSION = "1"
"""The version of vllm.Inference and vllm.Control that is served."""


class Control:
    """GetServerInfo, GetModelInfo and Abort; other methods of the API answer UNIMPLEMENTED."""

    def __init__(self, engine: Engine, instance_id: str) -> None:
        self._engine = engine
        self._instance_id = instance_id

    async def GetServerInfo(  # noqa: N802 - the wire's name
        self, _request: pb.GetServerInfoRequest, _grpc_context: CallContext | None = None
    ) -> pb.ServerInfo:
        """The engine's sizes, as it runs and not as it was configured."""
        info = self._engine.info
        parallelism = info.parallelism
        return pb.ServerInfo(
            engine_version=info.version,
            api_version=API_VERSION,
            instance_id=self._instance_id,
            parallelism=pb.ParallelismInfo(
                tensor_parallel_size=parallelism.tensor,
                pipeline_parallel_size=parallelism.pipeline,
                data_parallel_size=parallelism.data,
                data_parallel_rank=parallelism.data_rank,
                decode_context_parallel_size=parallelism.decode_context,
                world_size=parallelism.world,
                data_parallel_size_local=parallelism.data_local,
            ),
            max_model_len=info.max_model_len,
            kv_block_size=info.kv_block_size,
            total_kv_blocks=info.total_kv_blocks,
            max_running_requests=info.max_running_requests,
            max_batched_tokens=info.max_batched_tokens,
            max_loras=info.max_loras,
            # Blocks are cached and shared in units of this many tokens.
            effective_attention_block_size=info.kv_block_size,
        )

    async def GetModelInfo(  # noqa: N802 - the wire's name
        self, _request: pb.GetModelInfoRequest, _grpc_context: CallContext | None = None
    ) -> pb.ModelInfo:
        """The model and what may be asked of it."""
        info = self._engine.info
        return pb.ModelInfo(
            model_id=info.model_id,
            served_model_name=info.served_names[0],
            served_model_aliases=info.served_names[1:],
            supports_text_input=info.has_tokenizer,
            supports_token_ids_input=True,
            supports_lora=bool(info.lora_names),
            supports_multimodal=False,
            reasoning_parser=info.reasoning_parser,
            tool_call_parser=info.tool_call_parser,
        )

    async def Abort(  # noqa: N802 - the wire's name
        self, request: pb.AbortRequest, _grpc_context: CallContext | None = None
    ) -> pb.AbortResponse:
        """Ends requests: their streams finish with ABORTED."""
        await self._engine.abort(list(request.request_ids))
        return pb.AbortResponse()
