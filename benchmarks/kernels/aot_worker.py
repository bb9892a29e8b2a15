"""Compiling every variant with the Triton that this process imports, one JSON line for each."""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks.kernels.compiled import compile_variant
from benchmarks.kernels.rival_variants import rival_variants
from benchmarks.kernels.vllm_unified import UnifiedKernelMissingError
from kernels.variant import Variant

OPERATIONS = ("paged_decode", "paged_prefill", "shared_prefix", "cache_write")
RIVAL = "vllm"


def main() -> None:
    """Print what each variant became, or the error that stopped the compiler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capability", type=int, required=True)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of titles to compile")
    args = parser.parse_args()
    for operation, variant in _variants(args.capability):
        title = f"{operation}/{variant.name}"
        if not any(part in title for part in args.only):
            continue
        try:
            line = asdict(compile_variant(operation, variant, args.capability))
        except Exception as error:  # noqa: BLE001 - a compiler's failure is a result to report
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[-300:]}"
            line = {"title": title, "error": reason}
        print(json.dumps(line), flush=True)


def _variants(capability: int) -> Iterator[tuple[str, Variant]]:
    """Each operation's, then the rival's."""
    for operation in OPERATIONS:
        module = importlib.import_module(f"kernels.{operation}.variants")
        for variant in module.variants(capability):
            yield operation, variant
    try:
        for variant in rival_variants():
            yield RIVAL, variant
    except UnifiedKernelMissingError as error:
        print(f"no rival to compare with: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
