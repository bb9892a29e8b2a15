"""vLLM's engine API (`vllm.grpc.engine`), by which gateways such as smg drive an engine."""
