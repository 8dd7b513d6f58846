"""The operator console: a client of the engine's API and nothing more; it may die, and the batch goes on."""
