raise ImportError("imported torch before the command line was checked")
