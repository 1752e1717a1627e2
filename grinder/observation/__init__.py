"""What is shown of a run while it runs: log, metrics, health, alerts.

Law: observation reads and tells; it decides nothing, waits for nobody and never shows a secret.
"""
