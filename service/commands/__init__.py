"""What the verbs of `whichone` do; `cli` only names them and their options."""
