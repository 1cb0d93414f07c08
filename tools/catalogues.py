"""The catalogue of texts: gathered from the sources, kept as a .po, compiled to the .mo.

`python -m tools.catalogues` brings both files up to date: a text that is new stands in the .po
with an empty translation, one that is gone leaves it.
"""

import ast
import inspect
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "bulonera_sync" / "cli"
PO = ROOT / "bulonera_sync" / "locale" / "es" / "LC_MESSAGES" / "bulonera-sync.po"

# A text, or its two forms; and its translations, as many.
Key: TypeAlias = tuple[str, ...]
Catalogue: TypeAlias = Mapping[Key, tuple[str, ...]]

HEAD = ("",)


def gathered() -> set[Key]:
    """Return every text of the command line's sources that a person reads."""
    return {
        key for file in SOURCES.glob("*.py") for key in texts_of(ast.parse(file.read_text("utf-8")))
    }


def texts_of(module: ast.Module) -> Iterator[Key]:
    """Yield what is said by `phrase` and `plural`, by PHRASES, and as help."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="phrase"), args=[ast.Constant(value=str(text))]):
                yield (text,)
            case ast.Call(
                func=ast.Name(id="plural"),
                args=[_, ast.Constant(value=str(one)), ast.Constant(value=str(many))],
            ):
                yield (one, many)
            case ast.Assign(targets=[ast.Name(id="PHRASES")], value=ast.Tuple(elts=elements)):
                yield from ((ast.literal_eval(each),) for each in elements)
            case ast.keyword(arg="help", value=ast.Constant(value=str(text))):
                yield (text,)
            case ast.FunctionDef() if _is_command(node):
                yield (inspect.cleandoc(ast.get_docstring(node) or ""),)
            case _:
                pass


def _is_command(node: ast.FunctionDef) -> bool:
    """Whether the help of Typer is the function's docstring."""
    kinds = (ast.unparse(each.annotation) for each in node.args.args if each.annotation)
    is_action = node.returns is not None and ast.unparse(node.returns) == "None"
    return is_action and "typer.Context" in kinds and ast.get_docstring(node) is not None


def read_po(text: str) -> Catalogue:
    """Return a .po file's texts and translations, its head under the empty text."""
    found: dict[Key, tuple[str, ...]] = {}
    for block in text.split("\n\n"):
        fields: list[tuple[str, str]] = []
        for line in block.splitlines():
            if line.startswith("#") or not line:
                continue
            name, _, rest = line.partition(" ") if line[0] != '"' else ("", "", line)
            if name:
                fields.append((name, ""))
            fields[-1] = (fields[-1][0], fields[-1][1] + ast.literal_eval(rest))
        key = tuple(value for name, value in fields if name.startswith("msgid"))
        if key:
            found[key] = tuple(value for name, value in fields if name.startswith("msgstr"))
    return found


def write_po(catalogue: Catalogue) -> str:
    """Return the texts in the alphabet's order, its head first, as a .po file."""
    return "\n".join(_block(key, catalogue[key]) for key in sorted(catalogue))


def _block(key: Key, said: tuple[str, ...]) -> str:
    names = ("msgid", "msgid_plural")
    lines = [_field(name, text) for name, text in zip(names, key, strict=False)]
    if len(key) > 1:
        lines += [_field(f"msgstr[{index}]", text) for index, text in enumerate(said)]
    else:
        lines.append(_field("msgstr", said[0]))
    return "".join(lines)


def _field(name: str, text: str) -> str:
    if "\n" not in text:
        return f"{name} {_quoted(text)}\n"
    return f'{name} ""\n' + "".join(f"{_quoted(part)}\n" for part in text.splitlines(keepends=True))


def _quoted(text: str) -> str:
    for character, code in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        text = text.replace(character, code)
    return f'"{text}"'


def compiled(catalogue: Catalogue) -> bytes:
    """Return the .mo file; the same catalogue yields the same bytes."""
    pairs = sorted(
        ("\0".join(key).encode(), "\0".join(said).encode())
        for key, said in catalogue.items()
        if all(said)
    )
    start = 7 * 4
    texts_at = start + 16 * len(pairs)
    data = b""
    places: list[bytes] = []
    for column in range(2):
        for pair in pairs:
            places.append(struct.pack("<II", len(pair[column]), texts_at + len(data)))
            data += pair[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), start, start + 8 * len(pairs), 0, texts_at)
    return head + b"".join(places) + data


def brought_up_to_date(catalogue: Catalogue, keys: Iterable[Key]) -> Catalogue:
    """Return the catalogue with these texts and no others."""
    return {key: catalogue.get(key, ("",) * len(key)) for key in [HEAD, *keys]}


def main() -> None:
    catalogue = brought_up_to_date(read_po(PO.read_text("utf-8")), gathered())
    PO.write_text(write_po(catalogue), "utf-8")
    PO.with_suffix(".mo").write_bytes(compiled(catalogue))
    missing = sum(not all(said) for said in catalogue.values())
    sys.stdout.write(f"{len(catalogue) - 1} texts, {missing} of them without a translation\n")


if __name__ == "__main__":
    main()
