"""Record batches of samples as episodes on disk, without ROS. Entrance: ``recorder.Recorder``."""
