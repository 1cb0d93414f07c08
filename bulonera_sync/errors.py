"""What can go wrong with the gateway itself, as opposed to a sale: no HTTP, no exit codes."""


class BuloneraError(Exception):
    """Anything the gateway raises on purpose."""


class ConfigError(BuloneraError):
    """A setting is unknown or wrong.

    The text is one line: where it stands (file or variable), which key, what would be right.
    """


class StoreUnavailableError(BuloneraError):
    """The database is busy, full, read-only or out of reach, or a COMMIT's outcome is unknown.

    Nothing may be concluded about what was being written: whoever asked sends it again.
    """


class StatementRefusedError(BuloneraError):
    """The database refused a row for what it says: a constraint, a range, an encoding."""


class SchemaError(BuloneraError):
    """The database's schema is not the one this program needs; the text says what to do."""


class UnpreparedError(SchemaError):
    """The database has no schema yet: any command that writes makes it."""


class RefusedError(BuloneraError):
    """The operation makes no sense as asked; the text says what and what to do."""


class NotFoundError(BuloneraError):
    """What was asked for is not there, or not the asker's."""
