"""State and knowledge of the application, free of Qt, of torch and of the command line."""

from app.core.samples import Sample, find_sample

__all__ = ["Sample", "find_sample"]
