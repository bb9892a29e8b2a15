"""What gRPC raises."""

import grpc.aio


def failed(code, details="", trailers=()):
    """A call that ended with this status and these trailers."""
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details=details
    )
