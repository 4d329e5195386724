"""Members of different widths side by side: chains of dense layers, of which no member is padded to the widest."""
