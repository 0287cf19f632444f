"""``base/science``, made by its one command: jobs in each of its languages, and Python's libraries."""

from __future__ import annotations

from typing import Any

import pytest

import cloud
from cloud import environment

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.full]

PROGRAMS = {
    "java": "echo 'class A{public static void main(String[] a){System.out.println(6*7);}}' > A.java && javac A.java && java A",
    "r": "Rscript -e 'cat(sum(c(40,2)))'",
    "ruby": "ruby -e 'puts 6*7'",
    "php": "php -r 'echo 6*7;'",
}


@pytest.fixture(scope="module")
def science(server: Any) -> str:
    """The base's name; making one takes some minutes."""
    environment.add_base("science", "science")
    return "base/science"


def test_libraries_of_python(science: str) -> None:
    def sees() -> list[float]:
        import cv2  # type: ignore[import-not-found]
        import matplotlib  # type: ignore[import-not-found]
        import numpy as np
        import pandas as pd  # type: ignore[import-not-found]
        from scipy import linalg  # type: ignore[import-not-found]
        from sklearn.linear_model import LinearRegression  # type: ignore[import-not-found]

        matplotlib.use("Agg")
        fit = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, 2.0]))
        grey = cv2.cvtColor(np.zeros((2, 2, 3), np.uint8), cv2.COLOR_BGR2GRAY)
        return [float(linalg.det(np.eye(2))), round(float(fit.coef_[0]), 6), float(pd.Series([1, 3]).mean()), float(grey.sum())]

    assert cloud.result(cloud.call(sees, _env=science), timeout=300) == [1.0, 2.0, 2.0, 0.0]


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_job_in_each_language(science: str, language: str) -> None:
    jid = cloud.shell.execute(PROGRAMS[language], {}, _env=science)
    assert cloud.result(jid, timeout=120).strip() == b"42"


def test_its_contents_are_listed(science: str) -> None:
    found = {one["name"]: one["version"] for one in environment.packages(science)}
    assert {"numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "matplotlib"} <= found.keys()
    assert {"openjdk-17-jdk-headless", "r-base-core", "ruby3.1", "php8.2-cli"} <= found.keys()
