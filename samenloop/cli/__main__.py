"""`python -m samenloop.cli` is `samenloop`."""

from samenloop.cli import main

main()
