"""Puts files from outside ``docs/`` on the site, so that nothing is written twice; a hook of mkdocs.

Links are written for the repository. Here they are turned to where their target is on the site.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
ON_SITE = {
    TOP / "README.md": "index.md",
    TOP / "CHANGELOG.md": "changelog.md",
    TOP / "CONTRIBUTING.md": "contributing.md",
    TOP / "LICENSE": "license.txt",
    TOP / "SECURITY.md": "security.md",
    TOP / "data/README.md": "samples.md",
    TOP / "docker/compose.yaml": "compose.yaml",
    TOP / "ndvq_tune/data/sample_data/volume.py": "volume.py",
    TOP / "ndvq_tune/search/engine/schedulers/pbt.py": "pbt.py",
    TOP / "search_spaces/video3d.yaml": "video3d.yaml",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is outside."""
    for source, name in ON_SITE.items():
        files.append(File.generated(config, name, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turns a page's links to files."""
    source = Path(page.file.abs_src_path or page.file.src_uri)

    def turned(link: re.Match[str]) -> str:
        target = (source.parent / link[0]).resolve()
        if target in ON_SITE:
            here = Path(page.file.src_uri).parent
            return os.path.relpath(ON_SITE[target], here)
        return os.path.relpath(target, DOCS) if source in ON_SITE else link[0]

    return LINK.sub(turned, markdown)
