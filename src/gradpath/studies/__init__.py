"""Studies of many networks and runs, which check the claims of the chapter and of the papers by computing them."""
