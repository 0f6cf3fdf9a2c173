"""`osmn finetune`, for work from a checkout."""

from osmn_recurrent.cli.finetune import console

if __name__ == "__main__":
    console()
