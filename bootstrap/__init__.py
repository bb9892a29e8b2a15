"""Makes .venv, with nothing but a Python 3.11 and its standard library: `python3 -m bootstrap`."""
