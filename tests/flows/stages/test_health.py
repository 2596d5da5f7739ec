"""Which routes answer."""

from datetime import timedelta

from flows.stages.health import Health, HealthPolicy

POLICY = HealthPolicy(allowed_fails=3, cooldown=timedelta(seconds=5))


def failing(times: int) -> Health:
    health = Health(POLICY)
    for now_ms in range(times):
        health.record("a", False, now_ms)
    return health


def test_route_is_healthy_until_it_failed_the_allowed_number_in_a_row():
    assert failing(2).healthy("a", 2)
    assert not failing(3).healthy("a", 2)


def test_route_is_healthy_again_when_the_cooldown_is_over():
    health = failing(3)

    assert (health.healthy("a", 5001), health.healthy("a", 5002)) == (False, True)


def test_next_failure_after_the_cooldown_closes_it_again():
    health = failing(3)
    health.record("a", False, 6000)

    assert (health.healthy("a", 10_999), health.healthy("a", 11_000)) == (False, True)


def test_success_forgets_all_failures():
    health = failing(3)
    health.record("a", True, 3)
    health.record("a", False, 4)
    health.record("a", False, 5)

    assert health.healthy("a", 5)


def test_routes_are_told_apart():
    assert failing(3).healthy("b", 2)
