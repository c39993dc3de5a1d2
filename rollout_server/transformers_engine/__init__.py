"""An engine that runs the model by the transformers library.

Letters at the end of names give the shape of an array: B rows of the batch, P prompts, T columns
of a key-value cache or tokens of a prompt, G generated tokens, V vocabulary, S end tokens, D the
width of the hidden state.
"""
