"""What Ray Serve must find in its environment to host replicas as they are meant.

Serve reads these when its processes start. It needs no Ray to import, so that whoever starts a
cluster can.
"""

from serving.server_options import MESSAGE_BYTES_MAX

CLUSTER_ENVIRONMENT = {
    # Each replica opens its own gRPC port: 25 times cheaper per message than the proxy.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
    # A replica with a dead engine has nothing to drain, and holds the GPU its successor needs.
    "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
    # Nothing in front of a replica has to be told for half a minute that it goes: routers hear it
    # from its load report.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
}
"""For every node of a cluster, when `ray start` runs there."""

REPLICA_ENVIRONMENT = {
    # In Serve's own event loop, a client that reads slowly slows the handler down. Between two
    # threads there is a queue without a bound.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(MESSAGE_BYTES_MAX),
}
"""For the replicas; serving.app gives it to them."""

GRPC_SERVICES = "serving.replica.add_replica_to_server"
"""For grpc_options.grpc_servicer_functions of a Serve config: without them Serve opens no gRPC
port."""
