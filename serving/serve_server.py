"""Sets up the gRPC server that Ray Serve opens in a replica's process.

Serve has a setting for the size of messages and for nothing else. Its servers take their options
from one list, which is extended here and nowhere else.
"""

from ray.serve._private.constants import DEFAULT_GRPC_SERVER_OPTIONS

from serving.server_options import SERVER_OPTIONS


def set_server_options() -> None:
    """Has every server that Serve opens in this process from now on take ours as well."""
    ours = [option for option in SERVER_OPTIONS if option not in DEFAULT_GRPC_SERVER_OPTIONS]
    DEFAULT_GRPC_SERVER_OPTIONS.extend(ours)
