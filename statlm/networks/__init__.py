"""What the members of the family that are networks share: modules, windows of text, training, derivatives. Needs torch."""
