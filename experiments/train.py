"""`osmn train`, for work from a checkout."""

from osmn_recurrent.cli.train import console

if __name__ == "__main__":
    console()
