"""`whichone demo`: a gallery of real photographs, asked about, with the server left running on it."""
