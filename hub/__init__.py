"""interaction-hub: one customer timeline out of the tools a team already uses."""

__version__ = "0.1.0"
