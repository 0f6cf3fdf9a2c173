"""`osmn benchmark`, for work from a checkout."""

from osmn_recurrent.cli.benchmark import console

if __name__ == "__main__":
    console()
