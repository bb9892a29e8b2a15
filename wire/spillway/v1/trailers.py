"""What a router says of a request beside its status, in the trailing metadata of the answer."""

from typing import Final

REQUEST_ID_KEY: Final = "x-spillway-request-id"
"""The router's own id of the request; to the endpoint it goes as metadata of this name."""

SITE_KEY: Final = "x-spillway-site"
"""The site of the last attempt."""

ENDPOINT_KEY: Final = "x-spillway-endpoint"
"""The endpoint of the last attempt, `SITE/HOST:PORT`."""

PATH_KEY: Final = "x-spillway-path"
"""The endpoints from this router to the engine, where there are routers on the way."""

PATH_SEPARATOR: Final = " > "

MODEL_KEY: Final = "x-spillway-model"
"""The model that gave the answer, where it is not what the request calls it: a version of it, or
one that stood in for it. Also in the initial metadata of a stream."""

ATTEMPTS_KEY: Final = "x-spillway-attempts"
"""How many attempts were made, at every level."""

RESUMED_KEY: Final = "x-spillway-resumed"
"""How often the answer went on elsewhere after it had begun; absent where it did not."""

RESUMABLE_KEY: Final = "x-spillway-resumable"
"""`no: ` and the reason, where the answer could not have gone on elsewhere."""
