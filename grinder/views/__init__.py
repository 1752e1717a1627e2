"""Views on disk: the rows of the projections, in a database beside the ledger.

Law: rows and the position they were made from are committed together, so a view is never half of a record.
A view can be dropped at any time and rebuilt from the ledger with the same rows.
"""
