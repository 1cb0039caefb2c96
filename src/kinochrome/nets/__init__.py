"""Networks that several methods, losses or metrics use unchanged, with the tensor names of their public weights."""
