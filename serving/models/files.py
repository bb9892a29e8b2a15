"""The model's files in the layout of Hugging Face: configuration, tokenizer, chat template."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from serving.models import layout
from serving.models.vocabulary import ASSISTANT, BEGIN, END, MARKS, SIZE, SYSTEM, USER

CHAT_TEMPLATE = (
    f"{MARKS[BEGIN]}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    f"{MARKS[ASSISTANT]}{{{{ message['content'] }}}}{MARKS[END]}"
    "{% elif message['role'] == 'system' %}"
    f"{MARKS[SYSTEM]}{{{{ message['content'] | trim }}}}"
    "{% elif message['role'] == 'user' %}"
    f"{MARKS[USER]}{{{{ message['content'] | trim }}}}"
    "{% else %}"
    "{{ raise_exception('a role is system, user or assistant, not ' + message['role']) }}"
    "{% endif %}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{MARKS[ASSISTANT]}{{% endif %}}"
)


def write(folder: Path, neurons: int) -> None:
    """Write all files but the layout."""
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE + "\n")
    for name, content in {
        "config.json": _config(neurons),
        "generation_config.json": {
            "bos_token_id": BEGIN,
            "eos_token_id": END,
            "do_sample": False,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": MARKS[BEGIN],
            "eos_token": MARKS[END],
            "pad_token": MARKS[END],
            "clean_up_tokenization_spaces": False,
            "model_max_length": layout.POSITIONS,
        },
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def _config(neurons: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": SIZE,
        "hidden_size": layout.HIDDEN,
        "intermediate_size": neurons,
        "num_hidden_layers": layout.LAYERS,
        "num_attention_heads": layout.HEADS,
        "num_key_value_heads": layout.KV_HEADS,
        "head_dim": layout.HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": layout.POSITIONS,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": layout.ROPE_THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "dtype": "float32",
    }


def _tokenizer() -> Tokenizer:
    """Every byte a token of its own number; only the marks are longer."""
    letters = _byte_letters()
    tokenizer = Tokenizer(models.BPE(vocab={letters[byte]: byte for byte in range(256)}, merges=[]))
    tokenizer.add_special_tokens(
        [AddedToken(mark, special=True, normalized=False) for _, mark in sorted(MARKS.items())]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{MARKS[BEGIN]} $A", special_tokens=[(MARKS[BEGIN], BEGIN)]
    )
    return tokenizer


def _byte_letters() -> list[str]:
    """The printable letter that byte-level tokenizers write for each byte.

    A byte that Latin-1 prints stands for itself; the others are numbered on from U+0100.
    """
    printed = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters: list[str] = []
    unprinted = 0
    for byte in range(256):
        letters.append(chr(byte) if byte in printed else chr(0x100 + unprinted))
        unprinted += byte not in printed
    return letters
