"""`osmn export`, for work from a checkout."""

from osmn_recurrent.cli.export import console

if __name__ == "__main__":
    console()
