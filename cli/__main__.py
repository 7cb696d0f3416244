"""`python -m synthcl.cli`, which is what `accelerate launch -m synthcl.cli` runs."""

from . import main

if __name__ == "__main__":
    main(prog_name="synthcl")
