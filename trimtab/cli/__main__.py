"""`python -m trimtab.cli`: the same as the program `trimtab`."""

from trimtab.cli import main

if __name__ == "__main__":
    main()
