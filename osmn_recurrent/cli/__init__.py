"""The command `osmn`: one file per verb."""
