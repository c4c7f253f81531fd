"""The design's rules about structure, held by tests: which way imports run, how long files are, and what no code may call."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"vtalign": ROOT, "vtalign_eval": ROOT / "eval", "vtalign_data": ROOT / "data_pipeline"}
MAX_LINES = 400

# What a room may import besides itself. Files at the top of vtalign are rooms of their own; "cli" sits above everything.
FOUNDATION = {"artifacts", "cards", "commands", "config", "errors", "hub", "ids", "launch"}
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "ids": set(),
    "hub": set(),
    "commands": set(),
    "cards": {"hub"},
    "choices": set(),
    "config": {"errors"},
    "artifacts": {"errors"},
    "launch": {"errors"},
    "assets": FOUNDATION,
    "losses": {"errors"},
    "report": FOUNDATION,
    "curriculum": FOUNDATION,
    "video": FOUNDATION,
    "models": FOUNDATION | {"video"},
    "preference": FOUNDATION | {"video", "models"},
    "remote": FOUNDATION | {"video", "models"},
    "judging": FOUNDATION | {"video", "models", "remote"},
    "training": FOUNDATION | {"video", "models", "preference", "curriculum", "losses"},
}
LIBRARY_ROOMS = set(ALLOWED) - {"__main__"}

BANNED_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
BANNED_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen", "random.seed", "np.random.seed"}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def source_files() -> list[tuple[str, Path]]:
    """(package, file) of every module of the three packages."""
    return [(package, path) for package, root in SOURCES.items() for path in sorted((root / package).rglob("*.py"))]


def room_of(package: str, path: Path) -> str:
    first = path.relative_to(SOURCES[package] / package).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a file imports, inside functions too. `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def permitted(package: str, room: str, target: str) -> bool:
    """Whether `room` of `package` may import the dotted name `target` (one of ours)."""
    to_package, _, rest = target.partition(".")
    to_room = rest.split(".")[0]
    if package == "vtalign" and room == "cli":
        return True
    if package == "vtalign" and room == "__init__":  # the public API, which imports what is asked of it when it is asked
        return to_package == "vtalign" and to_room in LIBRARY_ROOMS
    if package != "vtalign":
        return to_package == package or (to_package == "vtalign" and to_room in LIBRARY_ROOMS)
    return to_package == "vtalign" and (to_room == room or to_room in ALLOWED[room])


def test_every_room_has_its_rule() -> None:
    rooms = {room_of(package, path) for package, path in source_files() if package == "vtalign"}
    assert rooms == set(ALLOWED) | {"cli"}, "a new room: say in ALLOWED what it may import"


def test_imports_run_the_designed_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {target}"
        for package, path in source_files()
        for line, target in imports(path)
        if target.split(".")[0] in SOURCES and not permitted(package, room_of(package, path), target)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "room", "target", "allowed"),
    [
        ("vtalign", "models", "vtalign_data.build.run_build", False),
        ("vtalign", "training", "vtalign_eval.run.run_eval", False),
        ("vtalign", "cli", "vtalign_data.build.run_build", True),
        ("vtalign_eval", "run", "vtalign_data.build", False),
        ("vtalign_data", "build", "vtalign_eval.run", False),
        ("vtalign_data", "build", "vtalign.cli.main", False),
        ("vtalign_data", "build", "vtalign.models.load", True),
        ("vtalign", "losses", "vtalign.models.load", False),
        ("vtalign", "video", "vtalign.models.load", False),
        ("vtalign", "models", "vtalign.video.view", True),
    ],
)
def test_the_rule_itself(package: str, room: str, target: str, allowed: bool) -> None:
    assert permitted(package, room, target) is allowed


def test_every_import_of_ours_exists() -> None:
    """Imports inside functions are met only when a user runs the command: here they are met now."""
    for _, path in source_files():
        for line, target in imports(path):
            module, _, name = target.rpartition(".")
            if target.split(".")[0] not in SOURCES or not module:
                continue
            found = importlib.util.find_spec(module)
            assert found and found.origin, f"{path}:{line}: no module {module}"
            if name not in Path(found.origin).read_text(encoding="utf-8"):
                assert importlib.util.find_spec(target), f"{path}:{line}: {module} has no {name}"


def test_no_file_is_longer_than_two_rooms() -> None:
    files = [path for _, path in source_files()] + sorted((ROOT / "tests").rglob("*.py"))
    long = {
        str(path.relative_to(ROOT)): count
        for path in files
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long, long


def test_no_module_is_a_drawer_for_anything() -> None:
    assert not [path for _, path in source_files() if BANNED_NAMES & set(path.with_suffix("").parts[len(ROOT.parts) :])]


def test_nothing_unpickles_evaluates_or_seeds_the_world() -> None:
    wrong = []
    for _, path in source_files():
        wrong += [
            f"{path.relative_to(ROOT)}:{line}: import {name}"
            for line, name in imports(path)
            if name.split(".")[0] in BANNED_MODULES
        ]
        for node, name in calls(path):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            unsafe_load = name == "torch.load" and keywords.get("weights_only") != "True"
            unsafe_array = name.endswith("np.load") and keywords.get("allow_pickle") != "False"
            if name in BANNED_CALLS or unsafe_load or unsafe_array or keywords.get("shell") == "True":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_remote_code_is_never_on_unless_asked() -> None:
    for _, path in source_files():
        for node, name in calls(path):
            for keyword in node.keywords:
                assert keyword.arg != "trust_remote_code" or ast.unparse(keyword.value) != "True", f"{path}:{node.lineno}: {name}"


def test_only_the_report_writes_html() -> None:
    for package, path in source_files():
        text = path.read_text(encoding="utf-8").lower()
        if room_of(package, path) != "report":
            assert "<html" not in text and "<div" not in text, f"{path}: HTML belongs into vtalign/report"


def test_tests_mirror_the_packages() -> None:
    """A folder of tests stands for a folder of code."""
    places = {
        "vtalign": ROOT / "vtalign",
        "vtalign_eval": ROOT / "eval/vtalign_eval",
        "vtalign_data": ROOT / "data_pipeline/vtalign_data",
    }
    for name, place in places.items():
        for folder in (ROOT / "tests" / name).rglob("*"):
            if folder.is_dir() and folder.name != "__pycache__" and any(folder.glob("test_*.py")):
                assert (place / folder.relative_to(ROOT / "tests" / name)).is_dir(), f"{folder}: tests of nothing"
