"""Query text: parsing it to a syntax tree, binding the tree to relations, printing both back."""
