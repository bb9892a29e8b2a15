"""The kernels as an attention backend of vLLM; the only place here that knows vLLM."""
