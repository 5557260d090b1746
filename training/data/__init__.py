"""Photos for training: lists of them, splits, what is wrong with them, and batches made of them."""
