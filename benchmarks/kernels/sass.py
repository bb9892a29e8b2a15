"""Reading a cubin with the disassemblers that Triton's wheel carries: resources, instructions."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import triton

#: Instruction classes by the opcodes that make them, in SASS of sm_80 to sm_90.
CLASSES = {
    "wgmma": r"HGMMA|QGMMA",
    "mma": r"HMMA|QMMA",
    "cp_async": r"LDGSTS",
    "bulk_load": r"UTMALDG",
    "exp2": r"MUFU\.EX2",
    "local": r"STL|LDL",
}

_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);")
_LABEL = re.compile(r"^(\.L_x_\d+):")
_TARGET = re.compile(r"`\((\.L_x_\d+)\)")
_MATRIX = re.compile(r"HGMMA|QGMMA|HMMA|QMMA")


@dataclass(frozen=True, slots=True)
class Listing:
    """A kernel's machine code.

    Attributes:
        opcodes: of every instruction, in order.
        loops: (first, last) instruction of every backward branch's body.
    """

    opcodes: tuple[str, ...]
    loops: tuple[tuple[int, int], ...]

    def counts(self) -> dict[str, int]:
        """Instructions of each class of `CLASSES`."""
        return {
            name: sum(re.match(pattern, opcode) is not None for opcode in self.opcodes)
            for name, pattern in CLASSES.items()
        }

    def tile_loop(self) -> int:
        """Instructions of one turn of the loop over KV tiles; 0 without such a loop.

        That is the shortest innermost loop with matrix products: where a kernel has one loop with
        masks and one without, the latter.
        """
        matrix = [
            loop
            for loop in self.loops
            if any(_MATRIX.match(opcode) for opcode in self.opcodes[loop[0] : loop[1] + 1])
        ]
        innermost = [
            outer
            for outer in matrix
            if not any(
                outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1] for inner in matrix
            )
        ]
        return min((last - first + 1 for first, last in innermost), default=0)


def resources(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, stack bytes and static shared bytes, as `REG`, `STACK`, `SHARED`."""
    text = _run("cubin", cubin, "cuobjdump", "-res-usage")
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|SHARED):(\d+)", text)}


def disassemble(cubin: bytes) -> Listing:
    """The machine code of the one kernel in a cubin.

    `-ndf` spares a third of the time: an analysis whose findings are of older architectures.
    """
    return parse_listing(_run("cubin", cubin, "nvdisasm", "-c", "-ndf"))


def parse_listing(text: str) -> Listing:
    """Read what `nvdisasm -c` prints."""
    opcodes: list[str] = []
    labels: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for line in text.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(opcodes)
        elif instruction := _INSTRUCTION.match(line):
            target = _TARGET.search(instruction[2])
            if instruction[1].startswith("BRA") and target and target[1] in labels:
                first = labels[target[1]]
                # Waits lie behind the last EXIT and jump back into the code: no loops.
                if "EXIT" not in opcodes[first:]:
                    loops.append((first, len(opcodes)))
            opcodes.append(instruction[1])
    return Listing(tuple(opcodes), tuple(loops))


def _run(suffix: str, content: bytes, tool: str, *options: str) -> str:
    """What a tool of the installed Triton prints about some bytes."""
    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / tool
    with tempfile.NamedTemporaryFile(suffix=f".{suffix}") as file:
        file.write(content)
        file.flush()
        done = subprocess.run(
            [path, *options, file.name], capture_output=True, text=True, check=True
        )
    return done.stdout
