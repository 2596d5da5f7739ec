"""The scenarios of `weir bench`, one small file each."""

from connectors.bench.scenario import by_name
from connectors.bench.scenarios import (
    broker,
    context,
    faults,
    flood,
    hostile,
    kill,
    kill_twice,
    paced,
    rebalance,
    sigterm,
    soak,
    takeover,
    zombie,
)

SCENARIOS = by_name(
    [
        flood.SCENARIO,
        paced.SCENARIO,
        context.SCENARIO,
        kill.SCENARIO,
        kill_twice.SCENARIO,
        broker.SCENARIO,
        rebalance.SCENARIO,
        zombie.SCENARIO,
        faults.SCENARIO,
        hostile.SCENARIO,
        takeover.SCENARIO,
        soak.SCENARIO,
        sigterm.SCENARIO,
    ]
)
"""Every scenario, by its name."""
