"""How many programs a multiprocessor holds, from what one needs.

Source: NVIDIA's CUDA programming guide, table of technical specifications per compute capability.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    """What one multiprocessor has.

    Attributes:
        registers: 32-bit registers; a warp takes them in units of 256.
        warps: resident warps at most.
        programs: resident programs at most.
        shared_bytes: shared memory that programs can use together.
        reserved_bytes: shared memory that the system takes for each program.
    """

    registers: int
    warps: int
    programs: int
    shared_bytes: int
    reserved_bytes: int = 1024

    def resident(self, registers: int, warps: int, shared_bytes: int) -> int:
        """Programs resident at once, each with so many registers a thread, warps, shared bytes."""
        registers_per_warp = -(-registers * 32 // 256) * 256
        by_registers = self.registers // registers_per_warp // warps
        by_shared = self.shared_bytes // (shared_bytes + self.reserved_bytes)
        return min(self.programs, self.warps // warps, by_registers, by_shared)


MULTIPROCESSORS = {
    80: Multiprocessor(registers=65536, warps=64, programs=32, shared_bytes=164 * 1024),
    90: Multiprocessor(registers=65536, warps=64, programs=32, shared_bytes=228 * 1024),
}
