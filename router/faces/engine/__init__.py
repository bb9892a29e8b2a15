"""vLLM's engine API, by which gateways that tokenize by themselves drive a whole fleet."""
