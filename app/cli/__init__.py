"""The command line `nervplay`: `table` lists the commands, `main` runs them; each command is one module here."""

__all__: list[str] = []
