"""The embedded local fleet: two sites and a router on this machine, and nothing left afterwards.

Everything that is started runs under a keeper (`keeper.py`), a process of its own that ends what it
started and removes its folder whatever happens to the process that asked for it.
"""
