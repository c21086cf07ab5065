"""Commands for code and data of one's own: `fairlead train` and `fairlead dataset`."""
