"""Quantisation-aware training of candidates."""
