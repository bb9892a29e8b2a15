"""The compiled shape of one kernel variant: what the hardware will be asked to do."""

import re
from dataclasses import dataclass

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.kernels.occupancy import MULTIPROCESSORS
from benchmarks.kernels.sass import disassemble, resources
from kernels.variant import Variant

_BUFFER = re.compile(r"local_alloc[^:]*: \(\) -> !ttg\.memdesc<(\d+)x(\d+)x(\d+)x\w+,")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one variant became.

    Attributes:
        operation: whose variant it is: a folder of `kernels`, or "vllm" for the rival.
        name: the variant's.
        capability: compiled for.
        triton: compiled by.
        registers: of a thread.
        spills: instructions that touch local memory.
        stack_bytes: of a thread.
        shared_bytes: of a program.
        warps: of a program, those added by warp specialisation included.
        instructions: of each class of `sass.CLASSES`.
        kv_buffers: KV tiles that shared memory holds at once; 0 for a kernel without.
        kv_buffers_planned: what the design wants.
        resident: programs on one multiprocessor.
        resident_planned: what the design wants.
        bytes_ahead: KV bytes in flight on one multiprocessor while each program attends a tile.
        tile_instructions: of one turn of the loop over KV tiles, for one warp.
        per_pair: thread instructions for each (query row, key) pair of a tile; 0 without tiles.
    """

    operation: str
    name: str
    capability: int
    triton: str
    registers: int
    spills: int
    stack_bytes: int
    shared_bytes: int
    warps: int
    instructions: dict[str, int]
    kv_buffers: int
    kv_buffers_planned: int
    resident: int
    resident_planned: int
    bytes_ahead: int
    tile_instructions: int
    per_pair: float

    @property
    def title(self) -> str:
        """Operation and name."""
        return f"{self.operation}/{self.name}"

    @property
    def attends(self) -> bool:
        """Whether the kernel has a loop over KV tiles."""
        return self.tile_instructions > 0


def compile_variant(operation: str, variant: Variant, capability: int) -> Compiled:
    """Compile an operation's variant for a GPU that need not be there.

    Raises:
        Exception: whatever Triton's compiler raises.
    """
    position = list(variant.signature).index
    source = ASTSource(
        fn=variant.kernel,
        signature=dict(variant.signature),
        constexprs={(position(name),): value for name, value in variant.constexprs.items()},
        attrs=variant.attributes(),
    )
    target = GPUTarget("cuda", capability, 32)
    kernel = triton.compile(source, target=target, options=dict(variant.options))
    usage = resources(kernel.asm["cubin"])
    listing = disassemble(kernel.asm["cubin"])
    instructions = listing.counts()
    warps, shared = kernel.metadata.num_warps, kernel.metadata.shared
    buffers = kv_buffers(kernel.asm["ttgir"], variant)
    resident = MULTIPROCESSORS[capability].resident(usage["REG"], warps, shared)
    tile = listing.tile_loop() if variant.kv_tile_bytes else 0
    return Compiled(
        operation=operation,
        name=variant.name,
        capability=capability,
        triton=triton.__version__,
        registers=usage["REG"],
        spills=instructions.pop("local"),
        stack_bytes=usage["STACK"],
        shared_bytes=shared,
        warps=warps,
        instructions=instructions,
        kv_buffers=buffers,
        kv_buffers_planned=variant.kv_buffers,
        resident=resident,
        resident_planned=variant.ctas_per_sm,
        bytes_ahead=resident * max(buffers - 1, 0) * variant.kv_tile_bytes,
        tile_instructions=tile,
        per_pair=round(_per_pair(variant, tile, warps), 2),
    )


def kv_buffers(ttgir: str, variant: Variant) -> int:
    """KV tiles in shared memory: the leading axis of the buffers as deep as a tile of keys.

    A buffer of one tile has no leading axis, or is not there at all.
    """
    if not variant.kv_tile_bytes:
        return 0
    tile = {block_n(variant), padded_dim(variant)}
    depths = [
        int(depth) for depth, rows, cols in _BUFFER.findall(ttgir) if {int(rows), int(cols)} == tile
    ]
    return min(depths, default=1)


def block_n(variant: Variant) -> int:
    """Keys of one KV tile."""
    return int(variant.constexprs.get("BLOCK_N") or variant.constexprs["TILE_SIZE"])


def padded_dim(variant: Variant) -> int:
    """Elements of a tile's row."""
    names = ("PADDED_DIM", "HEAD_SIZE_PADDED", "HEAD_DIM")
    return next(int(variant.constexprs[name]) for name in names if name in variant.constexprs)


def _per_pair(variant: Variant, tile_instructions: int, warps: int) -> float:
    """Thread instructions for each pair of query row and key that a loop turn covers."""
    if not tile_instructions:
        return 0.0
    rows = int(variant.constexprs["BLOCK_M"])
    # A specialised kernel has twelve warps: four fetch, four attend each half of the query rows.
    attending, rows = (4, rows // 2) if warps > int(variant.options["num_warps"]) else (warps, rows)
    return tile_instructions * attending * 32 / (rows * block_n(variant))
