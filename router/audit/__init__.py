"""The audit log: what operators did to a router, in files that show whether they were changed."""
