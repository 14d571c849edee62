"""Where segments run: in this process or on Ray actors, under one coordinator."""
