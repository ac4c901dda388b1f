"""The operator's console: pages for a browser, served beside the recorder. Entrance: `main.main`."""
