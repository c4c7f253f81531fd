"""Where the batches of a build are worked on: this process, processes of this machine, a Ray cluster. All give the same rows."""
