"""One file per format family; `grinder.data.registry` lists them.

Law: a format says whether it knows a content (`accepts`, cheap, never by file name) and how to read it
(`read`).  It yields exact decimals and the faults only it can see (sequence breaks, cut frames); what holds
for every format (order, signs, holes, repetitions) is checked afterwards in `grinder.data.checks`.
"""
