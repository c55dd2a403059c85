"""The log folded into what it means: views of accounts, and snapshots of them."""
