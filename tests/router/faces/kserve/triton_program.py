"""A program that uses Triton's own client, as its users do; told what to do by JSON lines.

A process of its own: the client's messages have the names of ours, and a process can know only one
message of a name.
"""

import json
import queue
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def inputs_of(tensors):
    """The client's tensors for values by their names."""
    made = []
    for name, value in tensors.items():
        kind = "BOOL" if isinstance(value, bool) else "BYTES"
        tensor = triton.InferInput(name, [1], kind)
        tensor.set_data_from_numpy(
            np.array([value], dtype=bool)
            if kind == "BOOL"
            else np.array([value.encode()], dtype=np.object_)
        )
        made.append(tensor)
    return made


def request_of(asked):
    """The arguments of the client's call."""
    given = {"model_name": "fake", **asked, "inputs": inputs_of(asked["inputs"])}
    if "outputs" in asked:
        given["outputs"] = [triton.InferRequestedOutput(name) for name in asked["outputs"]]
    return given


def shown(result):
    """An answer as JSON: each tensor's values, and what came with them."""
    response = result.get_response()
    tensors = {}
    for output in response.outputs:
        values = result.as_numpy(output.name).tolist()
        tensors[output.name] = [v.decode() if isinstance(v, bytes) else v for v in values]
    final = response.parameters["triton_final_response"].bool_param
    return {"id": response.id, "model": response.model_name, "final": final, **tensors}


class Program:
    """One client, and what may be asked of it."""

    def __init__(self, address):
        self.client = triton.InferenceServerClient(address)

    def state(self, model):
        client = self.client
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model": client.is_model_ready(model),
            "other": client.is_model_ready("other"),
            "version": client.is_model_ready(model, "2"),
        }

    def described(self, model):
        client = self.client
        return {
            "server": client.get_server_metadata(as_json=True),
            "model": client.get_model_metadata(model, as_json=True),
            "config": client.get_model_config(model, as_json=True)["config"],
            "index": client.get_model_repository_index(as_json=True)["models"],
        }

    def infer(self, **asked):
        return shown(self.client.infer(**request_of(asked)))

    def stream(self, requests, headers=None):
        """All answers to all requests of one stream, in the order in which they came."""
        told = queue.Queue()
        self.client.start_stream(lambda result, error: told.put((result, error)), headers=headers)
        answers, open_requests = [], len(requests)
        for asked in requests:
            self.client.async_stream_infer(**request_of(asked))
        while open_requests:
            result, error = told.get()
            if error is not None:
                answers.append({"error": error.message()})
                open_requests -= 1
                continue
            answers.append(shown(result))
            open_requests -= answers[-1]["final"]
        self.client.stop_stream()
        return answers

    def leave(self, **asked):
        """Goes away from a stream after the first answer; the texts that came."""
        told = queue.Queue()
        self.client.start_stream(lambda result, error: told.put((result, error)))
        self.client.async_stream_infer(**request_of(asked))
        result, _ = told.get()
        self.client.stop_stream(cancel_requests=True)
        return shown(result)


def main():
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        address, name, given = json.loads(line)
        program = Program(address)
        try:
            answer = {"answer": getattr(program, name)(**given)}
        except InferenceServerException as error:
            answer = {"status": error.status(), "message": error.message()}
        finally:
            program.client.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
