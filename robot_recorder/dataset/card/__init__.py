"""The card of a dataset: a README and a page with charts and playable samples. Entrance: ``card.write_card``."""
