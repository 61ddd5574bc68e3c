"""Tables for people: summaries of fits, rows a parameter, rows a token, and files of them."""
