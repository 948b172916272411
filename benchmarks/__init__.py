"""Side-by-side benchmarks: each row is measured beside a peer in the same run. Run with `make bench`."""
