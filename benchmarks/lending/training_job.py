r"""A training job that borrows: it goes on from its checkpoint, and gives back when it is told to.

Submitted beside a site's replicas, with the resources of one and marked as a borrower, it waits
until a loan frees them (docs/lending.md):

    ray job submit --entrypoint-num-cpus 3 --metadata-json '{"spillway": "borrower"}' \
        --runtime-env-json '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "120"}}' \
        -- python training_job.py --checkpoint /shared/model.pt --steps 10000

SIGTERM is Ray's word that it has to end: it finishes its step, writes its checkpoint and ends. Ray
kills it `RAY_JOB_STOP_WAIT_TIME_S` after that. The model is a toy; the rest is what any training
loop needs.
"""

import argparse
import os
import signal
import time
from pathlib import Path
from types import FrameType

import torch

WIDTH = 64
BATCH = 32


class Ending:
    """Whether somebody has asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True


def train(checkpoint: Path, steps: int, pause_s: float, ending: Ending) -> int:
    """Trains until so many steps are done in all runs, or until the end is asked for; the step."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(WIDTH, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = int(saved["step"])
    print(f"begins at step {step}", flush=True)
    while step < steps and not ending.asked:
        generator = torch.Generator().manual_seed(step)  # the batch of a step, in whichever run
        inputs = torch.randn(BATCH, WIDTH, generator=generator)
        loss = torch.nn.functional.mse_loss(model(inputs), inputs.sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        time.sleep(pause_s)
    save(
        checkpoint, {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    )
    return step


def save(checkpoint: Path, state: dict[str, object]) -> None:
    """Writes it whole or not at all: who is killed while writing has the one before."""
    beside = checkpoint.with_suffix(".new")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(checkpoint)


def main() -> None:
    """Trains, and says how far it came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between steps")
    given = parser.parse_args()
    ending = Ending()
    step = train(given.checkpoint, given.steps, given.pause, ending)
    print(f"{'told to end' if ending.asked else 'done'} at step {step}", flush=True)


if __name__ == "__main__":
    main()
