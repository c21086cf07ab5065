"""How many times tests of power cuts try each step."""

ROUNDS = "FAIRLEAD_EDGE_ROUNDS"
"""The variable with the number, which a campaign sets."""
