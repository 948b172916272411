"""One module per group of rows.

A module declares `NAMES`, the rows it can yield, and `run(wanted) -> Iterator[Row]`, which yields those of them that
are in *wanted* as soon as each is measured. It is found by being in this folder.
"""
