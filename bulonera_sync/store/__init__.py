"""Keeping: everything that knows SQL. The rest of the house reaches it through the gateway."""
