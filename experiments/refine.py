"""`osmn refine`, for work from a checkout."""

from osmn_recurrent.cli.refine import console

if __name__ == "__main__":
    console()
