"""Files of requests, and what became of them."""

import json


def request(custom_id, **body):
    """A line that asks for a completion."""
    body = {"model": "fake", "prompt": "7", "max_tokens": 3, **body}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/completions", "body": body}


def write_requests(path, requests):
    """A batch's file."""
    path.write_text("".join(json.dumps(one) + "\n" for one in requests))
    return path


def answers(path):
    """The lines of an answer file by their ids; each id once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found
