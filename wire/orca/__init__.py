"""ORCA: the load of a server as load balancers of gRPC read it."""
