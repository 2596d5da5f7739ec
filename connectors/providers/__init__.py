"""Who answers: one pure codec a provider, one shell that moves the bytes."""
