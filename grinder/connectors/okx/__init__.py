"""OKX, interface version 5: spot, and linear perpetual swaps (`swap`).

Law: one file per question: what an error code means (`errors`), what a row says (`parsing`), what a frame
says (`decoder`), how a request travels (`wire`), how a stream begins (`listening`), who asks (`connector`).
"""
