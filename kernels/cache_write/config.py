"""Which compiled form of the cache writer serves a step, as a pure function."""

from dataclasses import dataclass

from kernels.spec import INTERPRETER

#: Up to here a step counts as decode: tokens are few, and every multiprocessor should get some.
DECODE_TOKENS_MAX = 512
#: Tokens of a program: 4 give 8 KV heads and 64 tokens 128 programs, about one for each
#: multiprocessor; 16 of head dim 128 give each of 128 threads a whole 16-byte vector twice.
DECODE_BLOCK_T, PROMPT_BLOCK_T = 4, 16
#: In the interpreter each program costs milliseconds, however large its tile.
INTERPRETER_BLOCK_T = 64


@dataclass(frozen=True, slots=True)
class WriteConfig:
    """Compile-time constants and launch options of one cache writer.

    Attributes:
        block_t: tokens of a program, each with one KV head and its group of query heads.
        num_warps: warps of a program.
    """

    block_t: int
    num_warps: int = 4


def choose_config(tokens: int, capability: int) -> WriteConfig:
    """Choose the compiled form.

    Args:
        tokens: of the step, padding included.
        capability: of the GPU, or `INTERPRETER`.
    """
    if capability == INTERPRETER:
        return WriteConfig(INTERPRETER_BLOCK_T)
    return WriteConfig(DECODE_BLOCK_T if tokens <= DECODE_TOKENS_MAX else PROMPT_BLOCK_T)
