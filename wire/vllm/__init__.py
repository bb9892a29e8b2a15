"""vLLM's own gRPC API."""
