"""Reports of episodes: pictures, HTML pages, comparisons. Entrance: ``html.write_html``."""
