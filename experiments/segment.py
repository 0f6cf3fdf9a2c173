"""`osmn segment`, for work from a checkout."""

from osmn_recurrent.cli.segment import console

if __name__ == "__main__":
    console()
