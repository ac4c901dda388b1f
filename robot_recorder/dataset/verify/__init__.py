"""Find what is wrong with a dataset on disk, of any exporter or LeRobot. Entrance: ``dataset.verify_dataset``."""
