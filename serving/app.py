"""The Ray Serve application: replicas with direct gRPC ingress.

`serve run serving.app:build model=/models/llama vllm.max_model_len=8192`, or the same names under
`args:` in a Serve config file. The arguments are those of serving.settings.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractContextManager, ExitStack, aclosing
from typing import Any

import ray
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from ray import serve
from ray.serve import Application

from serving.answer_trace import SERVICE
from serving.engines import start_engine
from serving.lease_terms import read_terms
from serving.placement import deployment_options
from serving.replica import Replica
from serving.serve_counting import counted_session, uncounted_call
from serving.serve_draining import follow_draining
from serving.serve_server import set_server_options
from serving.settings import ReplicaSettings, read_settings
from wire.core_dumps import leave_none
from wire.logs.writing import log_lines
from wire.malformed import Malformed
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.spillway.v1.link_pb2 import Down, Up
from wire.spillway.v1.load_pb2 import LoadReport, WatchLoadRequest
from wire.status import CallContext
from wire.tracing.tracer import open_tracer


class ServedReplica(Replica):
    """A replica as Serve makes it: Serve calls its methods by the last part of their gRPC names."""

    async def __init__(self, settings: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve's way
        leave_none()
        set_server_options()  # Serve opens its server once this has returned
        read = ReplicaSettings.model_validate(settings)
        terms = read_terms(read, os.environ)
        tracer = open_tracer(read.traced, SERVICE)
        self._last = ExitStack()
        self._last.enter_context(log_lines(read.log_format))
        self._last.callback(tracer.close)
        super().__init__(await start_engine(read), read.requests_max, terms, tracer)
        self._draining = follow_draining(self.board.drain)

    def counted(self) -> AbstractContextManager[None]:
        """A session of a link is a request to Serve."""
        return counted_session()

    async def Connect(  # noqa: N802 - the wire's name
        self, messages: AsyncIterator[Up | Malformed], grpc_context: CallContext
    ) -> AsyncGenerator[Down, None]:
        """A link is none."""
        with uncounted_call("Connect"):
            async with aclosing(super().Connect(messages, grpc_context)) as downs:
                async for down in downs:
                    yield down

    async def Watch(  # noqa: N802 - the wire's name
        self, request: WatchLoadRequest | HealthCheckRequest, grpc_context: CallContext
    ) -> AsyncGenerator[LoadReport | HealthCheckResponse, None]:
        """Nor is a watch."""
        with uncounted_call("Watch"):
            async with aclosing(super().Watch(request, grpc_context)) as messages:
                async for message in messages:
                    yield message

    async def StreamCoreMetrics(  # noqa: N802 - the wire's name
        self, request: OrcaLoadReportRequest | Malformed, grpc_context: CallContext
    ) -> AsyncGenerator[OrcaLoadReport, None]:
        """Nor is this one."""
        with uncounted_call("StreamCoreMetrics"):
            async with aclosing(super().StreamCoreMetrics(request, grpc_context)) as reports:
                async for report in reports:
                    yield report

    async def check_health(self) -> None:
        """Raises EngineDeadError, upon which Serve replaces the replica."""
        self.engine.check()

    async def __del__(self) -> None:
        """Serve awaits this at the end of a graceful shutdown."""
        engine = getattr(self, "engine", None)  # it has none where its start failed
        if engine is not None:
            await engine.shutdown()
            await asyncio.to_thread(self._last.close)


def build(args: Mapping[str, Any]) -> Application:
    """The application for these arguments. Raises SettingsError, a ValueError, for a bad one."""
    settings = read_settings(args)
    deployment = serve.deployment(ServedReplica).options(
        name="replica", **deployment_options(settings, cluster_gpus=_cluster_gpus())
    )
    return deployment.bind(settings.model_dump())


def _cluster_gpus() -> float:
    """The GPUs of the cluster this is built for."""
    return float(ray.cluster_resources().get("GPU", 0)) if ray.is_initialized() else 0.0
