"""Layers and rules that two or more architectures use; no architecture, no file, no frame source is known here."""

__all__: list[str] = []
