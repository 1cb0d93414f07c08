"""The SQLite that is used: the mended one of pysqlite3, or Python's own where no wheel has one."""

try:
    from pysqlite3 import dbapi2 as sqlite3
except ImportError:
    import sqlite3

__all__ = ["sqlite3"]
