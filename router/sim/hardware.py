"""Profiles of known hardware, fitted from published measurements.

Source: splitwise-sim's measurements of Llama2-70B (MIT licence), tensor parallel over eight GPUs,
prompts of 128 to 8,192 tokens and batches of 1 to 64. `python -m benchmarks.routing.fit` repeats
the fit: least squares of the relative error over all rows. It is off by 14 % (A100) and 17 % (H100)
of a prompt's time in the mean, and by 2 % of a token's. What attention costs is arithmetic instead,
at half of the GPUs' operations and six tenths of their memory's bandwidth: contexts that short do
not show it.

Memory is arithmetic: eight GPUs of 80 GB, nine tenths of them used, less 140 GB of weights, leave
436 GB, and a token's keys and values take 80 layers * 8 heads * 128 * 2 * 2 bytes = 328 kB.

The step's budget is what an operator with an objective of 100 ms between tokens would choose: with
it, a full step beside a few dozen that decode takes about 90 ms.
"""

from dataclasses import replace

from router.sim.profile import Profile

_KV_TOKENS = 1_330_000

H100_TP8 = Profile(
    name="Llama2-70B on 8 H100",
    prefill_base_ps=20_590_000_000,
    prefill_token_ps=70_840_000,
    prefill_pair_ps=331,
    decode_base_ps=29_978_000_000,
    decode_seq_ps=287_400_000,
    decode_context_ps=20_380,
    kv_blocks=_KV_TOKENS // 64,
    block_tokens=64,
    step_tokens_max=640,
)

A100_TP8 = Profile(
    name="Llama2-70B on 8 A100",
    prefill_base_ps=20_874_000_000,
    prefill_token_ps=152_181_000,
    prefill_pair_ps=1_050,
    decode_base_ps=44_466_000_000,
    decode_seq_ps=350_910_000,
    decode_context_ps=33_460,
    kv_blocks=_KV_TOKENS // 64,
    block_tokens=64,
    step_tokens_max=256,
)


def with_blocks(profile: Profile, block_tokens: int) -> Profile:
    """The same hardware with its cache cut into blocks of another size."""
    return replace(profile, block_tokens=block_tokens, kv_blocks=profile.kv_tokens // block_tokens)
