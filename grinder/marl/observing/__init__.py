"""What a decision rests on, as it is asked for: read strictly, within its ranges, with a hash.

Law: whatever comes from a caller is checked here, and nothing behind this folder checks it again.
"""
