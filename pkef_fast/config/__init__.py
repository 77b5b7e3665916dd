"""Choices: records that explain their fields, spaces to search, TOML."""
