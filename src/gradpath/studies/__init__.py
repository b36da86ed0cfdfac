"""What holds of many networks and runs: the claims of the chapter and of the papers, checked by running them."""
