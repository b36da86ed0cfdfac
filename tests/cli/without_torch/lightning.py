raise ImportError("imported lightning before the command line was checked")
