"""A development authority and the identities it gives; production has cert-manager or SPIFFE."""
