"""Texts that a parser of YAML could take for something else."""

AMBIGUOUS_TEXTS = (
    "1e5", "12e3456", "0899", "+1e-3", ".5", "5.", "1_000", "1_0e5", "0o17", "017", "0x1F", "0XFF", "0b11", "0B11",
    "7", "-7", "1.5", ".inf", ".nan", "y", "Y", "n", "N", "yes", "off", "true", "null", "~", "", "=", "<<", "1:30",
    "2026-11-28", "._", "0_", "0_7", "0b_", "0x_", "0o_", "0o18",
)  # fmt: skip
"""The first are numbers to Go's parser and texts to PyYAML: a digest of hexadecimal digits can be one of them."""
