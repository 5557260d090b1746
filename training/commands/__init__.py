"""What the verbs of training do; their options stand in the command line."""
