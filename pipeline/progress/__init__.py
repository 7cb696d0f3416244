"""How far the work is, in a line: of one piece of work, and of many together."""
