"""A Ray cluster on hosts, started by Ray's own cluster launcher (`ray up`).

The launcher's file says which hosts there are and how they are set up; it is Ray's, and is checked
against Ray's schema before any host is touched. `ray up` run again leaves a cluster that runs as it
is (`--no-restart`), so that one that was interrupted is run again. It is started as a process with
arguments, and no shell reads them here.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serving.serve_environment import CLUSTER_ENVIRONMENT

FILE_BYTES_MAX = 1024 * 1024
DASHBOARD_PORT = 8265
ASK_S = 60.0  # for the head's address, which the launcher has noted
START_COMMANDS = ("head_start_ray_commands", "worker_start_ray_commands")
RAY = (sys.executable, "-m", "ray.scripts.scripts")


class LaunchError(Exception):
    """The launcher's file cannot be used, or the launcher failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A launcher's file that was checked."""

    path: Path
    cluster: str
    provider: str
    hosts: tuple[str, ...]  # where the file names them: head first

    @property
    def command(self) -> tuple[str, ...]:
        """What starts the cluster, or changes nothing where it runs."""
        return (*RAY, "up", "--yes", "--no-restart", str(self.path))

    @property
    def head_command(self) -> tuple[str, ...]:
        """What tells the address of its head."""
        return (*RAY, "get-head-ip", str(self.path))


def read_launch(path: Path) -> Launch:
    """Check a launcher's file. Raises LaunchError; Ray has to be installed here."""
    config = _config(path)
    for key in START_COMMANDS:
        commands = config.get(key)
        if commands is None and key.startswith("worker") and not _has_workers(config):
            continue
        lacking = [
            f"{name}={value}"
            for name, value in CLUSTER_ENVIRONMENT.items()
            if f"{name}={value}" not in " ".join(map(str, commands or ()))
        ]
        if lacking:
            raise LaunchError(
                f"{path}: {key}: `ray start` there needs {' '.join(lacking)} before it"
                " (docs/serving.md): replicas would open no port of their own"
            )
    provider = config["provider"]
    hosts = (provider.get("head_ip"), *(provider.get("worker_ips") or ()))
    named = tuple(str(host) for host in hosts if host)
    return Launch(path, str(config["cluster_name"]), str(provider.get("type", "")), named)


def launch(found: Launch, run: Any = subprocess.run) -> str:
    """Start the cluster, with what the launcher prints on standard error; its dashboard's URL.

    Raises LaunchError. Interrupted, the launcher is interrupted as well, and may be run again.
    """
    done = run(found.command, stdout=sys.stderr.fileno(), check=False)
    if done.returncode:
        raise LaunchError(f"ray up {found.path} ended with {done.returncode}: it is said above")
    return f"http://{head_of(found, run)}:{DASHBOARD_PORT}"


def head_of(found: Launch, run: Any = subprocess.run) -> str:
    """The address of the head. Raises LaunchError."""
    try:
        done = run(found.head_command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        raise LaunchError(f"ray get-head-ip {found.path} does not end") from None
    lines = done.stdout.split()
    if done.returncode or not lines:
        said = " ".join((done.stderr or "").split())[-200:]
        raise LaunchError(f"ray get-head-ip {found.path} tells no address: {said}")
    return str(lines[-1])


def shown(command: Sequence[str]) -> str:
    """A command as a person would type it."""
    words = ("ray", *command[len(RAY) :]) if tuple(command[: len(RAY)]) == RAY else command
    return " ".join(words)


def _config(path: Path) -> dict[str, Any]:
    """The file by Ray's own schema."""
    try:
        with path.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise LaunchError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise LaunchError(f"{path}: expected at most {FILE_BYTES_MAX >> 20} MiB")
    try:
        config = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:
        raise LaunchError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or "cluster_name" not in config or "provider" not in config:
        raise LaunchError(f"{path}: expected a file of Ray's cluster launcher (`ray up`)")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        from ray.autoscaler._private.util import (  # noqa: PLC0415 - Ray is large, and may be absent
            prepare_config,
            validate_config,
        )
    except ImportError:
        raise LaunchError("`ray up` needs Ray here: pip install 'spillway[serving]'") from None
    try:
        prepared: dict[str, Any] = prepare_config(deepcopy(config))
        validate_config(prepared)
    except Exception as error:  # whatever Ray finds wrong with a file of its own
        said = " ".join(str(getattr(error, "message", error)).split())[:300]
        raise LaunchError(f"{path}: {said}") from error
    return prepared


def _has_workers(config: dict[str, Any]) -> bool:
    provider = config.get("provider") or {}
    return bool(provider.get("worker_ips") or config.get("max_workers"))
