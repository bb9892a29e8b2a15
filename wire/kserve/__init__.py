"""KServe's inference protocol, version 2, as Triton Inference Server serves it."""
