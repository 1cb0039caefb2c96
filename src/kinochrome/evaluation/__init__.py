"""Methods times clips times metrics: figures that one can trust, with every choice that led to them."""
