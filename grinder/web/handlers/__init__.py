"""What the routes do, by subject; each module ends with its rows of the route table.

Law: a handler asks a run or its views and shapes the answer; it decides nothing about trading.
"""
