"""The rules of the exchange, pure: no clock, random, network or threads; time is an argument."""
