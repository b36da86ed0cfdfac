"""Showing: TensorBoard, metrics.csv, the terminal and result.json."""
