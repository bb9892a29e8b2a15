"""Other APIs in front of the router's own: each turns its calls into those of vllm.Inference."""
