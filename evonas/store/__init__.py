"""The append-only event log of a study and its artefacts."""
