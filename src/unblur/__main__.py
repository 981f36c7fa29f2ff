"""`python -m unblur`: the same as the console script."""

from unblur.cli import main

if __name__ == "__main__":
    main()
