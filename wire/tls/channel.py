"""The calling side: a channel that reaches one identity and no other.

gRPC judges the name in the handshake itself, so nothing is ever sent to anybody else.
"""

import grpc

from wire.tls.files import Material


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """What a channel shows and whom it believes, for all of its connections."""
    return grpc.ssl_channel_credentials(
        root_certificates=material.authority,
        private_key=material.key,
        certificate_chain=material.certificate,
    )


def identity_options(identity: str) -> tuple[tuple[str, str], ...]:
    """The options of a channel to who has a certificate of this DNS name, wherever it runs."""
    return (("grpc.ssl_target_name_override", identity),)
