"""``python -m picloud`` is the command ``picloud``."""

from picloud.cli.main import main

if __name__ == "__main__":
    main()
