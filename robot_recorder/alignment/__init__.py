"""The aligner, its frames, and the certificate of how well streams fit together. Entrance: ``aligner.Aligner``."""
