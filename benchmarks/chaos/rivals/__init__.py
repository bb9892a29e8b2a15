"""The same kill and the same hang behind other routers, in the same run, for the record."""
