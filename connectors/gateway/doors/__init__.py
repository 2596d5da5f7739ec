"""Who may come in: keys, users, sessions, tickets, limits, and what is written down about it."""
