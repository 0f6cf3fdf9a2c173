"""`osmn report`, for work from a checkout."""

from osmn_recurrent.cli.report import console

if __name__ == "__main__":
    console()
