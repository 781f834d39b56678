"""Entry points of the tools. Imported by them alone: the package itself doesn't need them."""
