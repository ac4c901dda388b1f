"""The centre's index of all sites' episodes. Entrance: `catalogue.CentreCatalogue`."""
