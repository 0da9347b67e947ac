"""Learning new emotions without forgetting: ``partial_fit`` and what it stands on."""
