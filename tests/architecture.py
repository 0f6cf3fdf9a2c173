"""Reads a source tree and lists where it breaks the rules of the house."""

import ast
import collections
import re

# A module may import modules of its own room and of rooms with a smaller
# number. What is not listed serves all: errors, files, names, text_files, ...
ROOMS = {
    "experiments": 10,
    "osmn_recurrent.cli": 9,
    "osmn_recurrent.studio": 8,
    "osmn_recurrent.training": 7,
    "osmn_recurrent.reports": 7,
    "osmn_recurrent.inference": 6,
    "osmn_recurrent.metrics": 6,
    "osmn_recurrent.datasets": 5,
    "osmn_recurrent.media": 4,
    "checkpoints_tools": 4,
    "osmn_recurrent.models": 3,
    "osmn_recurrent.guides": 2,
    "osmn_recurrent.backbones": 2,
    "osmn_recurrent.masks": 1,
    "osmn_recurrent.losses": 1,
}
PACKAGES = ("osmn_recurrent", "checkpoints_tools", "experiments")
KERAS_ONLY = (
    "osmn_recurrent.models",
    "osmn_recurrent.backbones",
    "osmn_recurrent.guides",
    "osmn_recurrent.losses",
)
VERBS = "osmn_recurrent.cli"
EMPTY_NAMES = {"utils", "util", "common", "helpers", "misc"}
MOST_LINES, MOST_FUNCTION_LINES = 500, 80
MACHINE_PATH = re.compile(r"\.\./shared|[\"' ]/(home|root|tmp|work|Users)/")


def room_of(module):
    """The room that `module` (dotted name) lies in, or None."""
    inside = [room for room in ROOMS if module == room or module.startswith(f"{room}.")]
    return max(inside, key=len, default=None)


def imports_of(tree, module):
    """`(line, dotted name)` of everything that a module imports, anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def faults_of_tree(root):
    """All faults of the packages under `root`, as lines of text."""
    faults, edges, names, wanted = [], {}, {}, []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            tree = ast.parse(path.read_text())
            imports = list(imports_of(tree, module))
            edges[module] = {name for _, name in imports}
            names[module] = set(_names(tree))
            wanted += [(module, line, name) for line, name in imports]
            faults += [f"{module}: {fault}" for fault in _imports(module, imports)]
            faults += [f"{module}: {fault}" for fault in _shape(path, tree, module)]
    return faults + _missing(wanted, names) + _twice(edges) + _circles(edges)


def _names(tree):
    """Everything that a module gives a name, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name).split(".")[0]


def _missing(wanted, names):
    """Imports of names that are not there; many stand in functions."""
    there = {parent for module in names for parent in _parents(module)}
    faults = []
    for module, line, name in wanted:
        package, _, last = name.rpartition(".")
        given = names.get(package, ())
        if name.split(".")[0] in PACKAGES and name not in there:
            if last not in given and "__getattr__" not in given:
                faults.append(f"{module}: {line}: there is no {name}")
    return faults


def _parents(module):
    """A module's dotted name and those of the packages that it lies in."""
    parts = module.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts) + 1)]


def _twice(modules):
    """Names that modules share; a verb's script and a verb's room may bear its name."""
    owners = collections.defaultdict(list)
    for module in sorted(modules):
        package, _, name = module.rpartition(".")
        if name != package.rpartition(".")[2]:  # osmn_recurrent/studio/studio.py
            owners[name].append(module)
    return [
        f"{name}: the name of {' and '.join(found)}"
        for name, found in sorted(owners.items())
        if set(found) - {f"experiments.{name}", f"osmn_recurrent.{name}"}
        != {f"{VERBS}.{name}"}
        and len(found) > 1
    ]


def _imports(module, imports):
    own = room_of(module)
    for line, name in imports:
        other = room_of(name)
        if name.split(".")[0] == "experiments" and own != "experiments":
            yield f"{line}: imports experiments"
        elif own and other and other != own and ROOMS[other] >= ROOMS[own]:
            yield f"{line}: {own} imports {other}"
        if name.split(".")[0] == "tensorflow" and module.startswith(KERAS_ONLY):
            yield f"{line}: tensorflow in a room that is Keras only"
        flags_at_home = module.startswith(("experiments", "osmn_recurrent.cli"))
        if name == "absl.flags" and not flags_at_home:
            if module != "osmn_recurrent.programs":
                yield f"{line}: flags are read in programs only"


def _shape(path, tree, module):
    text = path.read_text()
    if text.count("\n") > MOST_LINES:
        yield f"{text.count(chr(10))} lines"
    if module.split(".")[-1] in EMPTY_NAMES:
        yield "a name that says nothing"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            document = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno + 1 - len(document.splitlines())
            if lines > MOST_FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {lines} lines of code"
    for node in tree.body:
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ):
            yield f"{node.lineno}: {node.name} has no docstring"
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"{number}: a path of one machine"


def _circles(edges):
    """Import circles between modules, each as one line."""
    graph = {
        module: {_module(name, edges) for name in names} - {None, module}
        for module, names in edges.items()
    }
    # The package's own __init__ only hands names on, lazily.
    graph.pop("osmn_recurrent", None)
    faults, done = [], set()

    def visit(module, trail):
        if module in trail:
            circle = trail[trail.index(module) :]
            if module == min(circle):
                faults.append("circle: " + " > ".join([*circle, module]))
            return
        if module in done or module not in graph:
            return
        for other in sorted(graph[module]):
            visit(other, [*trail, module])
        done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return faults


def _module(name, modules):
    """The module that an imported name belongs to, or None if it is foreign."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return None if name in ("", "osmn_recurrent") else name
