"""How fast the gateway is, beside the bare engine in the same run. `python -m benchmarks`."""
