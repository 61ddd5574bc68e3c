"""Arrays in, arrays out. Nothing here knows what a token is; numpy and scipy only."""
