"""How fast the gateway is, beside the bare engine in the same run: `python -m benchmarks`.

Absolute figures say little on another machine, or beside another load. So each of ours stands
beside a bare one of the same rounds, interleaved, and the ratio is what counts.
"""
