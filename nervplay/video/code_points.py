"""FFmpeg's names of colour tags and their code points in ITU-T H.273, which files, PyAV and others carry."""

from nervplay.errors import UnknownNameError

__all__ = ["MATRIX_CODES", "PRIMARIES_CODES", "RANGE_CODES", "TRANSFER_CODES", "code"]

MATRIX_CODES = {
    "gbr": 0,
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "ycgco": 8,
    "bt2020nc": 9,
    "bt2020c": 10,
    "smpte2085": 11,
    "chroma-derived-nc": 12,
    "chroma-derived-c": 13,
    "ictcp": 14,
}
PRIMARIES_CODES = {
    "bt709": 1,
    "bt470m": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "film": 8,
    "bt2020": 9,
    "smpte428": 10,
    "smpte431": 11,
    "smpte432": 12,
    "ebu3213": 22,
}
TRANSFER_CODES = {
    "bt709": 1,
    "bt470m": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "linear": 8,
    "log100": 9,
    "log316": 10,
    "iec61966-2-4": 11,
    "bt1361e": 12,
    "iec61966-2-1": 13,
    "bt2020-10": 14,
    "bt2020-12": 15,
    "smpte2084": 16,
    "smpte428": 17,
    "arib-std-b67": 18,
}
RANGE_CODES = {"tv": 1, "pc": 2}
"""Those of Matroska and FFmpeg; H.273 itself has a flag, 1 for full range."""


def code(kind: str, name: str, table: dict[str, int]) -> int:
    """Return the code point of a tag.

    Args:
        kind: what the table holds, for the error ("colour matrix").
        name: FFmpeg's name of the tag.
        table: one of the tables of this module.

    Raises:
        UnknownNameError: a name that is not in the table.
    """
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return table[name]
