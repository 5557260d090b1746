"""What a trained network says of a photo: views, ensembles, temperature, thresholds."""
