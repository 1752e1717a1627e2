"""Travelling through runs: forks, differences, slices, decisions held against today's code.

Law: what is asked of a run is worked out in `replay`; here are the files: where a parent, its data and its
tape are found, and whether they are still what they were.
"""
