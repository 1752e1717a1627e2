"""Binance: spot and USD-margined perpetuals.

Law: what both have in common is written once; `spot` and `usdm` hold only what differs.  Importing this
package imports no client library.
"""
