"""The command line `nervplay`: `table` lists the commands, `main` runs them.

Each command is one module here, which declares and checks, and what it does is one module in `work`.
"""

__all__: list[str] = []
