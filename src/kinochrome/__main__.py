"""`python -m kinochrome`: the command, for `torchrun -m`."""

from .cli import main

if __name__ == "__main__":
    main()
