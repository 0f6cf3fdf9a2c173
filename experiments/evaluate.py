"""`osmn evaluate`, for work from a checkout."""

from osmn_recurrent.cli.evaluate import console

if __name__ == "__main__":
    console()
