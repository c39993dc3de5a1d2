"""Tokens by which models end their turn, for texts that were decoded together with them."""

END_TOKENS = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<eos>",
    "<pad>",
    "</s>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
"""Those of common models."""
