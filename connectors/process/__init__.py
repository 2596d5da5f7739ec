"""Child processes: they die with us, are restarted when they fail, and are found again by a state file."""
