"""Ray's own reading of what it is given; its modules warn of themselves as they are imported."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ray.scripts.scripts import start
    from ray.serve._private import constants
    from ray.serve.schema import ServeDeploySchema

__all__ = ["ServeDeploySchema", "constants", "start"]
