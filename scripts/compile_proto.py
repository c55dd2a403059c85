"""Compile `proto/` into `cmam/openapi/_pb`, under package paths and with type stubs.

protoc writes imports of sibling files as top-level modules, which fail inside a package. So the generator works on a
copy of the sources laid out as the package is (`cmam/openapi/_pb/X.proto`), and its output needs no rewriting.
`--check DIR` writes to DIR instead; the freshness test compares that with what is committed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("cmam/openapi/_pb")
IMPORT = re.compile(r'^import "(?P<file>[A-Za-z]+\.proto)";$', re.MULTILINE)


def compile_into(target: Path) -> list[Path]:
    """Generate modules and stubs below `target` and return their paths; raises RuntimeError if protoc refuses."""
    with tempfile.TemporaryDirectory() as folder:
        laid_out = Path(folder) / PACKAGE
        laid_out.mkdir(parents=True)
        for source in sorted((ROOT / "proto").glob("*.proto")):
            text = IMPORT.sub(rf'import "{PACKAGE.as_posix()}/\g<file>";', source.read_text(encoding="utf-8"))
            (laid_out / source.name).write_text(text, encoding="utf-8")
        sources = [str(path) for path in sorted(laid_out.glob("*.proto"))]
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        code = protoc.main(
            ["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={target}", f"--pyi_out={target}", *sources]
        )
        if code != 0:
            raise RuntimeError(f"protoc refused proto/ with exit code {code}; its own message stands above")
    return sorted((target / PACKAGE).glob("*_pb2.py*"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", metavar="DIR", help="write below DIR instead of the source tree")
    arguments = parser.parse_args()
    target = Path(arguments.check) if arguments.check else ROOT
    target.mkdir(parents=True, exist_ok=True)
    for path in compile_into(target):
        print(path.relative_to(target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
