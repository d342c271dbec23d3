"""What a person touches: `core` (state without Qt and torch), `cli` (one command, one file). Nothing imports this."""

__all__: list[str] = []
