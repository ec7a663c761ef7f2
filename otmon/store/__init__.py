"""The site database: one SQLite file that keeps endpoints, assets, operations, connections and alerts of a site."""
