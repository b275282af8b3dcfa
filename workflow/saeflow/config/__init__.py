"""The configuration: schema, defaults, and checks across sections."""
