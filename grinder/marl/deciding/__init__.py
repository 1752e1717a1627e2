"""From three proposals to one decision: negotiation, hierarchy, size, and what is told of it.

Law: a decision is returned, never carried out; the same observation and policy give the same one.
"""
