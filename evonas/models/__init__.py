"""Networks: the exact fixed-point form in numpy and the trainable form in torch."""
