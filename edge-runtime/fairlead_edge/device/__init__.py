"""A device that serves releases of a bundle, one after the other: see docs/decisions/0056-updates-on-devices.md."""
