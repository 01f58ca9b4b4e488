"""The one error that ends a run with a sentence and no trace."""


class Failure(Exception):
    """Something outside this program is not as it must be; the text says what and, where it can, the way out."""
