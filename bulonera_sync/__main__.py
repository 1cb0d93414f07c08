"""`python -m bulonera_sync` is the same command line."""

from bulonera_sync.cli.main import run

if __name__ == "__main__":
    run()
