"""`osmn demo`, for work from a checkout."""

from osmn_recurrent.cli.demo import console

if __name__ == "__main__":
    console()
