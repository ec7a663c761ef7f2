"""Captures of realistic traffic made from a seed, and otmon measured beside tshark on them."""
