"""Speed and memory, measured as ratios within one run.

Law: nothing here is a test.  Every figure has its own command and prints one JSON line with the machine's
absolute figures and the ratio to something measured beside it in the same run.
"""
