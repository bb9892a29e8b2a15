"""LiteLLM as a client of the address it is given, as a program of its own; prints what it saw."""

import json
import sys

import litellm


def main():
    url, model = sys.argv[1:]
    litellm.telemetry = False
    common = {"model": f"openai/{model}", "api_base": f"{url}/v1", "api_key": "none"}
    chat = common | {"messages": [{"role": "user", "content": "count 41"}], "max_tokens": 12}
    seen = {}
    whole = litellm.completion(**chat)
    seen["whole"] = whole.choices[0].message.content
    seen["tokens"] = whole.usage.completion_tokens
    stream = litellm.completion(**chat, stream=True, stream_options={"include_usage": True})
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    seen["streamed"] = "".join(pieces)
    seen["pieces"] = sum(bool(piece) for piece in pieces)
    text = common | {"model": f"text-completion-openai/{model}"}
    seen["text"] = litellm.text_completion(**text, prompt="41", max_tokens=6).choices[0].text
    for name, wrong in (
        ("bad", {"temperature": 3.0}),
        ("unknown", {"model": "openai/other"}),
    ):
        try:
            litellm.completion(**chat | wrong)
        except litellm.exceptions.APIError as error:
            seen[name] = type(error).__name__
        except Exception as error:  # noqa: BLE001 - whichever of its exceptions it is
            seen[name] = type(error).__name__
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
