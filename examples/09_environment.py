"""An environment of your own: changed once, saved, and seen by the jobs that name it.

Prints::

    with the environment: 12 points
    without it: there is no tool
"""

import cloud

NAME = "example-09"
TOOL = 'printf "#!/bin/sh\\nwc -l < \\$1\\n" > /usr/local/bin/points; chmod 755 /usr/local/bin/points'


def count():
    """Use a program that only the environment has."""
    import shutil
    import subprocess
    from pathlib import Path

    if shutil.which("points") is None:
        return "there is no tool"
    Path("data.txt").write_text("point\n" * 12)
    return subprocess.run(["points", "data.txt"], capture_output=True, text=True, check=True).stdout.strip() + " points"


if NAME in [one["name"] for one in cloud.environment.list_envs()]:
    cloud.environment.delete(NAME)
cloud.environment.build(NAME, run=[TOOL])
print("with the environment:", cloud.result(cloud.call(count, _env=NAME)))
print("without it:", cloud.result(cloud.call(count)))
cloud.environment.delete(NAME)
