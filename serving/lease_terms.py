"""How a replica's settings and its environment say to deal with leases."""

from collections.abc import Mapping

from serving.lease_door import LeaseTerms
from serving.settings import ReplicaSettings, SettingsError
from wire.lease_keys import LeaseKeyError, read_lease_keys


def read_terms(settings: ReplicaSettings, environ: Mapping[str, str]) -> LeaseTerms:
    """The terms of a replica with these settings. Raises SettingsError."""
    try:
        keys = read_lease_keys(settings.lease_key_file, environ)
    except LeaseKeyError as error:
        raise SettingsError(f"lease_key_file: {error}") from error
    required = settings.leases == "required"
    if required and not keys:
        raise SettingsError("leases: they are required, and there is no key to verify them with")
    return LeaseTerms(keys, required)
