"""What can go wrong with a site database."""


class StoreError(Exception):
    """A database that cannot be opened, read or written; str() is one line for people."""


class StoreHeld(StoreError):
    """Another otmon holds the folder."""


class StoreFull(StoreError):
    """Nothing was written because there is no room (or the disk fails); works again once there is."""


class StoreGone(StoreError):
    """The file was removed or replaced while it was open: what is written now, nobody can read."""


class StoreBusy(StoreFull):
    """Nothing was written because another program holds the database; works again once it lets go."""
