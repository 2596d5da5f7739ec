"""Files that run Weir: the embedded broker and its kin."""
