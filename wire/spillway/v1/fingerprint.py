"""What a prompt is known by once its content is gone.

Routers know by it which prompts crash engines (`router.policy.quarantine`), and leases are bound
to it.
"""

from array import array
from hashlib import blake2b

from wire.vllm.inference_pb2 import GenerateRequest


def fingerprint_of(message: GenerateRequest) -> str:
    """A digest of the model's name and the prompt, media included: 16 hexadecimal digits.

    It costs a microsecond for each kilobyte. Sampling is left out: what crashes an engine is asked
    for again with another temperature.
    """
    digest = blake2b(f"{message.model}\0{message.lora_name}\0".encode(), digest_size=8)
    if message.WhichOneof("prompt") == "text":
        digest.update(message.text.encode())
    else:
        digest.update(array("I", message.token_ids.ids).tobytes())
    for part in message.media:
        digest.update(part.SerializeToString(deterministic=True))
    return digest.hexdigest()
