"""Episodes as pictures and as one HTML page; repeats compared. Entrance: ``html.write_html``."""
