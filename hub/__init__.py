"""interaction-hub: one customer timeline out of the tools a team already uses."""

__version__ = "0.1.0"

SETTINGS_FILES = ("config/hub.toml", "hub.toml")  # looked for in this order where none is named
