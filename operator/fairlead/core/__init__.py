"""Pure decisions: names, conditions, plans, checks and builders. No I/O, no clock, no kopf."""
