"""Who looks after the actors: rebuilt when they fail, found when they are stuck, freed of what none can take."""
