"""Widgets of the desktop player. They show what `app.core` knows and call its commands; they decode nothing."""

__all__: list[str] = []
