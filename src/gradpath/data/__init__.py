"""Data sets, one function per file, each returning a LightningDataModule over tensors held in memory."""
