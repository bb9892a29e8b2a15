"""Who is at the other end: TLS between routers and sites, with an identity on both sides."""
