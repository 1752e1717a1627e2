"""Bybit, interface version 5: spot and linear perpetuals.

Law: one file per question: what a code means (`errors`), what a row says (`parsing`), what a frame says
(`decoder`), how a request goes over the wire (`wire`), and who asks (`connector`).  None decides anything.
"""
