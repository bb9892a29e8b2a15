"""vLLM's `vllm bench serve`, where the package of its CPU build has another name than `vllm`.

Its command asks for the version of the package `vllm` and finds none; this begins behind that.
"""

from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

if __name__ == "__main__":
    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    main(parser.parse_args())
