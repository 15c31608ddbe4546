"""What Jenkins holds a JUnit report against."""

import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lxml import etree
from platformdirs import user_cache_path

from coherence.files import replace_file


@pytest.fixture(scope="session")
def junit_schema():
    """Jenkins' junit-10.xsd, which travels in the source distribution of pytest."""
    kept = user_cache_path("coherence-tests") / f"junit-10-pytest-{pytest.__version__}.xsd"
    if not kept.exists():
        replace_file(kept, _schema_from_source_distribution())
    return etree.XMLSchema(etree.parse(kept))


def _schema_from_source_distribution():
    wanted = ["--no-deps", "--no-binary", "pytest", f"pytest=={pytest.__version__}"]
    with TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *wanted]
        run = subprocess.run(pip, capture_output=True, text=True)
        if run.returncode:
            pytest.skip(f"pip cannot download pytest's source distribution: {run.stderr.strip()[-300:]}")
        (archive,) = Path(folder).glob("pytest-*.tar.gz")
        with tarfile.open(archive) as source:
            (member,) = (name for name in source.getnames() if name.endswith("/junit-10.xsd"))
            return source.extractfile(member).read()
