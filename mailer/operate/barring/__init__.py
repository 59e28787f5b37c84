"""The suppression list as people and programs govern it."""
