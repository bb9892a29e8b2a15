"""What MkDocs asks of this project: pages made from code, and links that stay inside the site."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parents[2]
# MkDocs runs from its own script: neither the packages nor the modules beside this one are found.
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from reference import pages  # noqa: E402

_TOP: Final = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Pages that stand at the top of the repository, where who comes by the code looks for them."""

_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Lists the decisions, which are numbered."""
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    for entry in config.nav:
        if isinstance(entry, dict) and entry.get("Decisions") == "decisions":
            entry["Decisions"] = [f"decisions/{name}" for name in names]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are not written under docs/."""
    for name, source in _TOP.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    for name, text in pages(ROOT).items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A link to a file of the repository that is no page becomes the file's name."""
    _ = config
    folder = posixpath.dirname(page.file.src_uri)
    top = page.file.src_uri in _TOP

    def kept_or_named(link: re.Match[str]) -> str:
        text, target, anchor = link.group(1), link.group(2), link.group(3) or ""
        inside = posixpath.normpath(posixpath.join(folder, target))
        if files.get_file_from_path(inside) is not None:
            return link.group()
        name = next((page for page, source in _TOP.items() if top and source == target), "")
        if name:
            return f"[{text}]({name}{anchor})"
        outside = target if top else posixpath.normpath(posixpath.join("docs", inside))
        if not (ROOT / outside).exists():
            return link.group()  # which MkDocs complains of
        return text if outside.rstrip("/") in text else f"{text} (`{outside}`)"

    return _LINK.sub(kept_or_named, markdown)
