"""`osmn prepare`, for work from a checkout."""

from osmn_recurrent.cli.prepare import console

if __name__ == "__main__":
    console()
