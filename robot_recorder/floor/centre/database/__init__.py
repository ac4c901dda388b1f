"""The centre's database: SQLite or PostgreSQL, migrations, backup. Entrance: `database.open_database`."""
