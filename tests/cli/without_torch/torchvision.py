raise ImportError("imported torchvision before the command line was checked")
