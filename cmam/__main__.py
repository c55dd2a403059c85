"""`python -m cmam`: the same as the console script `cmam`."""

from __future__ import annotations

from cmam.cli.main import main

if __name__ == "__main__":
    main()
