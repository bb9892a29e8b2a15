"""What a rotary embedding is to the kernel."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Rotary:
    """Rotary position embedding (Su et al., 2021) as a table.

    Attributes:
        cos_sin: `[positions, R]` of fp32, fp16 or bf16, last stride 1: the cosines of the R / 2
            frequencies, then the sines. R is even; elements of a head past the first R stay.
        neox: whether element i pairs with i + R / 2 (GPT-NeoX, Llama) or 2i with 2i + 1 (GPT-J).
    """

    cos_sin: torch.Tensor
    neox: bool = True

    @property
    def dim(self) -> int:
        """R, the elements of a head that turn."""
        return self.cos_sin.shape[1]
