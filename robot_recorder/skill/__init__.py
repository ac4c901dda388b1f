"""How skilfully a take was driven, against the reference take of its task. Entrance: `take_score.read_score`."""
