"""The gRPC services of a router, on its server."""

from collections.abc import Callable
from typing import Final

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from router.faces.engine.service import EngineFace
from router.faces.kserve.service import SERVICE as KSERVE
from router.faces.kserve.service import KServe
from router.live.callers import Callers
from router.live.closing import Closing
from router.live.control import Control
from router.live.cost_service import CostService
from router.live.fleet_service import FleetService
from router.live.health import Health
from router.live.inference import Inference
from router.live.link_service import LinkService
from router.live.load_service import LoadService
from router.live.orca_service import OrcaService
from router.live.roster import Roster
from router.live.tokenizer_service import TokenizerService
from wire.engine.service import SERVICE as ENGINE
from wire.engine.service import EngineHandlers
from wire.kserve.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from wire.orca.reporting import SERVICE as ORCA
from wire.orca.service_pb2_grpc import add_OpenRcaServiceServicer_to_server
from wire.refusing import RefusingServer
from wire.spillway.v1.cost_pb2_grpc import add_CostServicer_to_server
from wire.spillway.v1.fleet_pb2_grpc import add_FleetServicer_to_server
from wire.spillway.v1.load_pb2_grpc import add_LoadServicer_to_server
from wire.spillway.v1.tokenizer_pb2_grpc import add_TokenizerServicer_to_server
from wire.vllm.control_pb2_grpc import add_ControlServicer_to_server

SERVICES: Final = (
    "vllm.Inference",
    "vllm.Control",
    "spillway.v1.Cost",
    "spillway.v1.Fleet",
    "spillway.v1.Link",
    "spillway.v1.Load",
    "spillway.v1.Tokenizer",
    KSERVE,
    ENGINE,
    ORCA,
)


def add_services(
    server: grpc.aio.Server,
    inference: Inference,
    control: Control,
    fleet: FleetService,
    cost: CostService,
    load: LoadService,
    tokenizer: TokenizerService,
    kserve: KServe,
    engine: tuple[Callers, Roster, float],
    *,
    serves: Callable[[], bool],
    is_draining: Callable[[], bool],
    closing: Closing,
    watches_max: int,
) -> None:
    """Adds all of them, and those that tell of them: health and reflection.

    `engine` is what vLLM's engine API needs beside the others: who may call, who answers, and how
    many seconds an answer may take that has no deadline of its own.
    """
    callers, roster, deadline_s = engine
    face = EngineFace(
        inference, control, tokenizer, callers, roster, serves, load.report, deadline_s
    )
    orca = OrcaService(load.report, callers, closing, watches_max)
    server.add_generic_rpc_handlers((orca.beside(inference.handlers()),))
    links = LinkService(inference, load, is_draining)
    server.add_generic_rpc_handlers((links.handlers(), EngineHandlers(face)))
    refusing = RefusingServer(server)
    add_ControlServicer_to_server(control, refusing)
    add_FleetServicer_to_server(fleet, refusing)
    add_CostServicer_to_server(cost, refusing)
    add_LoadServicer_to_server(load, refusing)
    add_TokenizerServicer_to_server(tokenizer, refusing)
    add_GRPCInferenceServiceServicer_to_server(kserve, refusing)
    add_OpenRcaServiceServicer_to_server(orca, refusing)
    add_HealthServicer_to_server(Health(SERVICES, serves, closing, watches_max), refusing)
    shown = (*SERVICES, "grpc.health.v1.Health", reflection.SERVICE_NAME)
    reflection.enable_server_reflection(shown, server)
