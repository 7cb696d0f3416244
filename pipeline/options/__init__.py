"""An option, defined once: its types, its values and the configs that it stands in."""
