"""The two ways a run can end early, each with a text of one line."""


class ConfigError(ValueError):
    """A wrong input: the key, what is wrong, what is allowed. Exit code 2; nothing was written."""


class RunFailed(RuntimeError):  # noqa: N818 - a fact, not an error of the program
    """A run that ended by an exception, or by NaN where that counts; result.json tells more. Exit code 1."""
