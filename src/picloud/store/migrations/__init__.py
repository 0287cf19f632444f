"""The ways from older databases to this version's; see ``picloud.store.migrate``."""
