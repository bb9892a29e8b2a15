"""The subcommands of `spillway`, one group a file."""
