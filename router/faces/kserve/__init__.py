"""KServe's inference protocol, version 2, over gRPC, as Triton's clients speak it."""
