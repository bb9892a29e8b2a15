"""Whether a command's words are what its program takes, asked of the program's own parser."""

import argparse
import functools
import importlib.util
import inspect
import re
import sys
from contextlib import suppress
from unittest.mock import patch

import typer
from click import Context, UsageError
from ray.dashboard.modules.job.cli import submit
from typer.exceptions import TyperException

from spillway import cli
from tests.docs.commands import ROOT

_STANDS_FOR = re.compile(r"[A-Z][A-Z_0-9]*(\.\w+)?|N|…")
"""What a page has where a reader has something else."""

_PAIRS = re.compile(r"[a-z_.]+=.*")
_TARGETS = {
    line.partition(":")[0]
    for line in (ROOT / "Makefile").read_text().splitlines()
    if re.match(r"[a-z]+:", line)
}


class WrongError(Exception):
    """A command that its program would refuse, and why."""


def check(words, *, whole):
    """Raises WrongError. Where it is not `whole`, what is required may be missing."""
    program, *arguments = words
    if program == "spillway":
        _spillway(arguments, whole=whole)
    elif program == "make":
        targets = [word for word in arguments if "=" not in word]
        _agree(set(targets) <= _TARGETS, f"no such target: {targets}")
    elif program == "ray" and arguments[:2] == ["job", "submit"]:
        _ray_job(arguments[2:], whole=whole)
    elif program == "python" and arguments[:2] == ["-m", "spillway"]:
        _spillway(arguments[2:], whole=whole)
    elif program == "python" and arguments[:1] == ["-m"] and arguments[1:]:
        _module(arguments[1], arguments[2:], whole=whole)


def _spillway(arguments, *, whole):
    command, context = _app(), None
    name = "spillway"
    while True:
        context = command.context_class(
            command, info_name=name, parent=context, **command.context_settings
        )
        try:
            given, rest, _ = command.make_parser(context).parse_args(list(arguments))
        except TyperException as error:
            raise WrongError(error.format_message()) from None
        if not hasattr(command, "commands"):
            break
        if not rest:
            return
        name, arguments = rest[0], rest[1:]
        found = command.get_command(context, name)
        _agree(found is not None, f"no command {name}")
        command = found
    if name == "bench":
        compares = rest[:1] == ["compare"]
        module = "benchmarks.compare" if compares else "benchmarks.serving"
        _module(module, rest[1:] if compares else rest, whole=whole)
        return
    _agree(not rest, f"{rest} is too much")
    for parameter in command.get_params(context):
        _spillway_value(parameter, given.get(parameter.name), context, whole=whole)


@functools.cache
def _app():
    return typer.main.get_command(cli.app)


def _spillway_value(parameter, value, context, *, whole):
    missing = value is None or (parameter.nargs == -1 and not value)
    if missing:
        _agree(not (whole and parameter.required), f"{parameter.name} is missing")
        return
    if parameter.type_descriptor.is_path or _stands_for(value):
        return
    try:
        parameter.process_value(context, value)
    except TyperException as error:
        raise WrongError(error.format_message()) from None


def _stands_for(value):
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(one, str) and _STANDS_FOR.fullmatch(one) for one in values)


def _ray_job(arguments, *, whole):
    before, _, entry = " ".join(arguments).partition(" -- ")
    del before
    at = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        context = Context(submit, info_name="submit")
        submit.make_parser(context).parse_args(list(arguments[:at]))
    except UsageError as error:
        raise WrongError(error.format_message()) from None
    if whole:
        _agree(bool(entry), "what is the job's command?")
    if entry:
        check(arguments[at + 1 :], whole=whole)


class _ParsedError(Exception):
    """The arguments are right, and nothing else is to be done."""


def _module(module, arguments, *, whole):
    """A module of ours is run as far as its parser; of another's it is enough that it is there."""
    if _STANDS_FOR.fullmatch(module):
        return
    with suppress(ModuleNotFoundError):
        if importlib.util.find_spec(module) is not None:
            _arguments(module, arguments, whole=whole)
            return
    raise WrongError(f"no module {module}")


def _arguments(module, arguments, *, whole):
    if module == "serving.standalone" or (arguments and module == "benchmarks.compiled"):
        if module == "benchmarks.compiled":
            _module(arguments[0], arguments[1:], whole=whole)
        _agree(
            module != "serving.standalone" or all(_PAIRS.fullmatch(one) for one in arguments),
            "expected NAME=VALUE",
        )
        return
    ours = (ROOT / module.partition(".")[0]).is_dir()
    if not ours or module.startswith("serving.models") or not (whole or arguments):
        return
    with patched_parser(), patch.object(sys, "argv", [module, *arguments]):
        main = _main_of(module)
        try:
            main(arguments) if _needs_arguments(main) else main()
        except _ParsedError:
            return
        except SystemExit as ended:
            raise WrongError(f"its parser ends it with {ended.code}") from None
    raise WrongError("it has no parser")


def _main_of(module):
    """What `python -m` would run of it."""
    is_package = importlib.util.find_spec(module).submodule_search_locations is not None
    return importlib.import_module(f"{module}.__main__" if is_package else module).main


def _needs_arguments(main):
    return any(one.default is one.empty for one in inspect.signature(main).parameters.values())


def patched_parser():
    """Within it, a program ends where its arguments are parsed, and placeholders are any value."""
    parse, value, check = (
        argparse.ArgumentParser.parse_args,
        argparse.ArgumentParser._get_value,
        argparse.ArgumentParser._check_value,
    )

    def parsed(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise _ParsedError

    def error(_self, message):
        raise WrongError(message)

    return patch.multiple(
        argparse.ArgumentParser,
        parse_args=parsed,
        error=error,
        _get_value=lambda self, action, text: (
            text if _STANDS_FOR.fullmatch(text) else value(self, action, text)
        ),
        _check_value=lambda self, action, found: (
            None
            if isinstance(found, str) and _STANDS_FOR.fullmatch(found)
            else check(self, action, found)
        ),
    )


def _agree(holds, otherwise):
    if not holds:
        raise WrongError(otherwise)
