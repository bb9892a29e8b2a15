"""The policy in real time: grpc.aio servers, channels, probes, the one clock."""
