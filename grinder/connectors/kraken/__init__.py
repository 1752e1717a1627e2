"""Kraken spot: REST for trading, WebSocket v2 for the book, trades and our own executions.

Law: nothing is imported here; the connector's module is loaded by whoever trades on Kraken.
"""
