"""The door of a site: one address at which clients find all of its endpoints.

Nobody needs to look at the bytes of a stream that comes from an endpoint itself, so what moves them
is HAProxy; what is here configures it, and keeps it as the list of endpoints is.
"""
