"""The gateway's own certificates: an authority that can vouch for local names alone."""
