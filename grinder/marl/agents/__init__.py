"""The three agents: what each proposes, by rules or by a network.

Law: an agent sees an observation, and what the agents before it in the turn proposed; it answers with
probabilities, never with an order.  Whether anything is done is decided elsewhere
(`grinder.marl.deciding.coordination`).  The turn is strategic, tactical, risk.
"""
