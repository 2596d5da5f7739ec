"""Pure rules: no clock, random, network, environment or Bytewax; time is an argument."""
