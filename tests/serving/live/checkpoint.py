"""A model and an adapter of random weights, in Hugging Face format, made without torch.

What it says means nothing; the tests force it to say what they want.
"""

import json

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INNER, CONTEXT = 2, 128, 2, 1, 64, 256, 512
PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<s>", "</s>")
LORA_RANK = 8


def byte_tokenizer():
    """One token for each byte, after the special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: number for number, name in enumerate((*SPECIAL, *letters))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def make_checkpoint(folder):
    """Writes config, tokenizer and weights."""
    tokenizer = byte_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    vocab_size = tokenizer.get_vocab_size()
    special = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    write(
        folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | special
    )
    write(
        folder / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": vocab_size,
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "head_dim": HEAD_DIM,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "bos_token_id": BOS,
            "eos_token_id": EOS,
        },
    )
    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.normal(0, 0.05, shape).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": weights(vocab_size, HIDDEN),
        "model.norm.weight": np.ones(HIDDEN, np.float32),
        "lm_head.weight": weights(vocab_size, HIDDEN),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        tensors |= {
            prefix + "input_layernorm.weight": np.ones(HIDDEN, np.float32),
            prefix + "post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
            prefix + "self_attn.q_proj.weight": weights(HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.k_proj.weight": weights(KV_HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.v_proj.weight": weights(KV_HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.o_proj.weight": weights(HIDDEN, HEADS * HEAD_DIM),
            prefix + "mlp.gate_proj.weight": weights(INNER, HIDDEN),
            prefix + "mlp.up_proj.weight": weights(INNER, HIDDEN),
            prefix + "mlp.down_proj.weight": weights(HIDDEN, INNER),
        }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def make_adapter(folder, seed=1, *, tears=False):
    """Writes a LoRA adapter strong enough to change what the model says; torn, of no use."""
    folder.mkdir(exist_ok=True)
    write(
        folder / "adapter_config.json",
        {
            "peft_type": "LORA",
            "r": LORA_RANK,
            "lora_alpha": 64,
            "target_modules": ["o_proj"],
            "bias": "none",
            "task_type": "CAUSAL_LM",
        },
    )
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        tensors[f"{name}.lora_A.weight"] = rng.normal(0, 1, (LORA_RANK, HIDDEN)).astype(np.float32)
        tensors[f"{name}.lora_B.weight"] = rng.normal(0, 1, (HIDDEN, LORA_RANK)).astype(np.float32)
    weights = folder / "adapter_model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    if tears:
        weights.write_bytes(weights.read_bytes()[:100])


def write(path, value):
    path.write_text(json.dumps(value))
