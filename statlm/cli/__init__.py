"""The command line: the package's main job without a script."""
