"""Sources of clips: one file per data set, all handing out `Clip`s."""
