"""The steps of the runner: what is inside the sandbox together with the user's code."""
