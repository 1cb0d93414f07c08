"""The command line: what a shop sees of the gateway in a terminal."""
